package lab

import "syscall"

// attributes have the kernel kill a process with the thread that started it, and keep from it the Ctrl-C that is meant for the lab.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
