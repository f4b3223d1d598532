// Holds a pod's namespaces, and buries its orphans.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	heard := make(chan os.Signal, 16)
	signal.Notify(heard, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for number := range heard {
		if number != syscall.SIGCHLD {
			return
		}
		for {
			var status syscall.WaitStatus
			buried, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
			if err != nil || buried <= 0 {
				break
			}
		}
	}
}
