//go:build !linux

package dumpfile

func wantHugePages([]byte) {}
