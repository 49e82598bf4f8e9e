//go:build unix

package history

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lock waits until no other process has the lock of f, for a second at most: a
// shell must not hang because another one does.
func lock(f *os.File) error {
	const pause = 10 * time.Millisecond
	for tries := 0; ; tries++ {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == unix.EWOULDBLOCK && tries < int(time.Second/pause):
			time.Sleep(pause)
		case err != unix.EINTR:
			return err
		}
	}
}
