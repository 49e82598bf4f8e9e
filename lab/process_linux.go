package lab

import (
	"os"
	"syscall"
)

// attributes have the kernel kill a process with the thread that started it, and keep from it the Ctrl-C that is meant for the lab.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// ownNetwork are attributes that also give a process a network of its own, in which it may do everything. No rights are needed for that, where the system lets
// users make namespaces.
func ownNetwork() *syscall.SysProcAttr {
	a := attributes()
	a.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET
	a.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
	a.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	return a
}
