// The Go half of a contest: GROUP OPTIONS, steps on stdin, answers on stdout, a line of JSON each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"
)

// Answer is what a step returns; a step takes its argument as JSON.
type Answer map[string]any
type Step func(argument json.RawMessage) Answer

var groups = map[string]func(options json.RawMessage) map[string]Step{
	"trees":   trees,
	"gcbench": gcbench,
	"collect": collect,
	"build":   build,
	"walk":    walk,
}

func main() {
	steps := groups[os.Args[1]](json.RawMessage(os.Args[2]))
	steps["peak"] = func(json.RawMessage) Answer {
		var usage syscall.Rusage
		check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
		return Answer{"bytes": usage.Maxrss * 1024} // Linux counts it in KiB
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var call []json.RawMessage
		check(json.Unmarshal(lines.Bytes(), &call))
		var name string
		check(json.Unmarshal(call[0], &name))
		text, err := json.Marshal(steps[name](call[1]))
		check(err)
		fmt.Println(string(text))
	}
}

func parse[T any](text json.RawMessage) T {
	var value T
	check(json.Unmarshal(text, &value))
	return value
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(what string, actual, expected any) {
	if actual != expected {
		panic(fmt.Sprintf("%s: expected %v, got %v", what, expected, actual))
	}
}

// timed runs something once and returns the milliseconds it took.
func timed(run func()) float64 {
	start := time.Now()
	run()
	return float64(time.Since(start).Nanoseconds()) / 1e6
}
