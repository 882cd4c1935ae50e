// Runs the tests in order and reports them in the Test Anything Protocol, which the runner reads.
// A test fails by returning an error or by panicking; nothing is skipped.
package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"time"
)

const deadline = 15 * time.Second

type test struct {
	name string
	run  func(*env)
}

// failure is what a failed assertion panics with.
type failure string

func fail(format string, arguments ...any) {
	panic(failure(fmt.Sprintf(format, arguments...)))
}

// must fails on an error that no test expects.
func must(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

// value is must for calls that also answer something.
func value[T any](found T, err error) T {
	must(err, "call")
	return found
}

func same[T any](found, expected T, what string) {
	if !reflect.DeepEqual(found, expected) {
		fail("%s: expected %#v, found %#v", what, expected, found)
	}
}

// receive takes the next value from a channel and fails when none comes in time.
func receive[T any](from <-chan T, what string) T {
	select {
	case found, open := <-from:
		if !open {
			fail("%s: closed", what)
		}
		return found
	case <-time.After(deadline):
		fail("%s: nothing within %s", what, deadline)
	}
	panic("unreachable")
}

// eventually polls a condition until it holds.
func eventually(condition func() bool, what string) {
	for end := time.Now().Add(deadline); !condition(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			fail("not within %s: %s", deadline, what)
		}
	}
}

// attempt runs one test with an environment of its own.
func attempt(t test, url string) (reason string) {
	e := newEnv(url)
	defer e.close()
	defer func() {
		if caught := recover(); caught != nil {
			reason = strings.Join(strings.Fields(fmt.Sprint(caught)), " ")
		}
	}()
	t.run(e)
	return ""
}

func main() {
	url, failed := os.Getenv("AMQP_URL"), 0
	fmt.Printf("1..%d\n", len(tests))
	for number, t := range tests {
		if reason := attempt(t, url); reason == "" {
			fmt.Printf("ok %d - %s\n", number+1, t.name)
		} else {
			failed++
			fmt.Printf("not ok %d - %s # %s\n", number+1, t.name, reason)
		}
	}
	if failed > 0 {
		os.Exit(1)
	}
}
