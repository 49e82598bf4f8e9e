//go:build !linux

package lab

import "syscall"

func attributes() *syscall.SysProcAttr { return nil }

func ownNetwork() *syscall.SysProcAttr { return nil }
