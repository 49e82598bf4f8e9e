package dumpfile

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wantHugePages asks the kernel to back a large buffer that is about to be filled with large pages: filling fresh memory page by page takes
// longer than copying a file into it. It is a hint only.
func wantHugePages(b []byte) {
	page := uintptr(os.Getpagesize())
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	skip := (page - start%page) % page
	if uintptr(len(b)) <= skip {
		return
	}
	_ = unix.Madvise(b[skip:], unix.MADV_HUGEPAGE)
}
