package main

import (
	"encoding/json"
	"runtime"
	"runtime/debug"
)

// Full collections of graphs, alive and dead: the peer of collect.mjs. runtime.GC returns when the collection is over; it marks
// on all processors.

const seed = 0x9e3779b9
const near = 1000
const next = 20

func xorshift32(state uint32) func() float64 {
	return func() float64 {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		return float64(state) / 4294967296
	}
}

func targetsOf(shape string, n int) []int {
	random := xorshift32(seed)
	below := func(limit int) int { return int(random() * float64(limit)) }
	targets := make([]int, 0, 3*n)
	for i := 0; i < n; i++ {
		for field := 0; field < 3; field++ {
			target := 0
			switch {
			case shape == "near":
				target = i - near + below(2*near+1)
				if target < 0 {
					target = 0
				} else if target > n-1 {
					target = n - 1
				}
			case shape == "next20" && field > 0:
				target = (i + 1 + below(next)) % n
			case shape == "next20" || shape == "ring" && field == 0:
				target = (i + 1) % n
			default:
				target = below(n)
			}
			targets = append(targets, target)
		}
	}
	return targets
}

var root *Node

func makeGraph(shape string, n int) *Node {
	targets := targetsOf(shape, n)
	nodes := make([]*Node, n)
	for i := range nodes {
		nodes[i] = &Node{v: float64(i) + 0.5}
	}
	for i, node := range nodes {
		node.a, node.b, node.c = nodes[targets[3*i]], nodes[targets[3*i+1]], nodes[targets[3*i+2]]
	}
	return nodes[0]
}

func collect(text json.RawMessage) map[string]Step {
	options := parse[struct {
		Shape string
		N     int
	}](text)
	debug.SetGCPercent(-1)
	collectNow := func(json.RawMessage) Answer { return Answer{"ms": timed(runtime.GC)} }
	return map[string]Step{
		"build": func(json.RawMessage) Answer {
			root = makeGraph(options.Shape, options.N)
			runtime.GC()
			return Answer{}
		},
		"collect": collectNow,
		"drop": func(json.RawMessage) Answer {
			expect("the root's value", root.v, 0.5)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			root = nil
			answer := collectNow(nil)
			runtime.ReadMemStats(&after)
			answer["freedBytes"] = int(before.HeapAlloc) - int(after.HeapAlloc)
			return answer
		},
	}
}
