package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	"ringside/internal/differential"
)

// result begins the line by which a machine tells its summary.
const result = "summary "

// machineLimit is the most a machine may take.
const machineLimit = 10 * time.Minute

func run(a arguments) int {
	if os.Getpid() == 1 {
		asInit(a)
		return 0
	}
	if os.Getuid() != 0 {
		fmt.Println("skipped: a network namespace and its interfaces want root")
		return 0
	}
	var all []*differential.Summary
	failed := false
	for _, on := range []struct {
		name string
		run  func(arguments) (*differential.Summary, string, error)
	}{{"native", native}, {"qemu", inMachine}} {
		if a.on != "" && a.on != on.name {
			continue
		}
		sum, skipped, err := on.run(a)
		switch {
		case err != nil:
			fmt.Printf("%s: %v\n", on.name, err)
			failed = true
		case skipped != "":
			fmt.Printf("%s: skipped: %s\n", on.name, skipped)
		}
		if sum != nil {
			fmt.Printf("%s, Linux %s: %v in %.0f s\n", on.name, sum.Kernel, sum, sum.Seconds)
			if sum.Once > 0 {
				fmt.Printf("  %d showed a difference once and not again\n", sum.Once)
			}
			for _, s := range sum.Skipped {
				fmt.Printf("  row not for this kernel: %s\n", s)
			}
			all = append(all, sum)
		}
	}
	if a.Row == "" {
		differential.Coverage(os.Stdout, all...)
	}
	var total differential.Summary
	for _, sum := range all {
		total.Add(sum)
	}
	fmt.Println(&total)
	if failed || total.Differences > 0 {
		return 1
	}
	return 0
}

func native(a arguments) (*differential.Summary, string, error) {
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		return nil, err.Error(), nil
	}
	// In a goroutine of its own, whose thread ends with it: what runs after it, such
	// as a download, is not to be in a namespace without a network.
	var sum *differential.Summary
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		sum, err = compare(a)
	}()
	<-done
	return sum, "", err
}

// compare runs on the kernel that runs this program, and leaves the goroutine's
// thread in a namespace of its own.
func compare(a arguments) (*differential.Summary, error) {
	runtime.LockOSThread() // the namespace is the thread's
	linux, err := differential.NewLinux()
	if err != nil {
		return nil, err
	}
	have, lack, err := linux.Features()
	if err != nil {
		return nil, fmt.Errorf("ask for features: %w", err)
	}
	pair := differential.Pair{Linux: linux, Ours: new(differential.Ours), Have: have, Lack: lack, Another: another}
	sum, err := pair.Run(os.Stdout, a.Options)
	sum.Kernel = release()
	return sum, err
}

// another is a second namespace, of a thread that ends with the goroutine.
func another() (*differential.Pair, func() error, error) {
	runtime.LockOSThread()
	linux, err := differential.NewLinux()
	if err != nil {
		return nil, nil, err
	}
	return &differential.Pair{Linux: linux, Ours: new(differential.Ours)}, linux.Shut, nil
}

func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "?"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// inMachine runs on a stock kernel under QEMU.
func inMachine(a arguments) (sum *differential.Summary, skipped string, err error) {
	if a.cache == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return nil, err.Error(), nil
		}
		a.cache = filepath.Join(dir, "ringside", "kernel")
	}
	m, err := differential.FindMachine(a.cache)
	if err != nil {
		return nil, err.Error(), nil
	}
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := m.Run(w, machineLimit, "-seed="+fmt.Sprint(a.Seed), "-config="+fmt.Sprint((a.Configs+4)/5), "-steps="+fmt.Sprint(a.Steps),
			"-show="+fmt.Sprint(a.Show), fmt.Sprintf("-row=%q", a.Row))
		w.Close()
		done <- err
	}()
	sum = relay(r)
	if err := <-done; err != nil {
		return sum, "", err
	}
	if sum == nil {
		return nil, "", fmt.Errorf("the machine ended without a result")
	}
	return sum, "", nil
}

// relay prints what a machine says, and takes its summary out.
func relay(r io.Reader) (sum *differential.Summary) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		i := bytes.Index(line, []byte(result))
		if i < 0 {
			fmt.Printf("  | %s\n", line)
			continue
		}
		sum = new(differential.Summary)
		if err := json.Unmarshal(line[i+len(result):], sum); err != nil {
			fmt.Printf("  | %s\n", line)
			sum = nil
		}
	}
	_, _ = io.Copy(io.Discard, r)
	return sum
}

// asInit is the program as the first of a machine.
func asInit(a arguments) {
	defer differential.PowerOff()
	if err := differential.Boot(); err != nil {
		fmt.Println(err)
		return
	}
	sum, err := compare(a)
	if err != nil {
		fmt.Println(err)
	}
	if sum != nil {
		text, err := json.Marshal(sum)
		fmt.Printf("%s%s\n", result, text)
		if err != nil {
			fmt.Println(err)
		}
	}
}
