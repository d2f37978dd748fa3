package main

import (
	"encoding/json"
	"math"
)

// Binary trees: the peer of trees.mjs. The escaping trees are collected by Go, concurrently, as it sees fit.

type Tree struct{ left, right *Tree }

func buildTree(depth int) *Tree {
	if depth == 0 {
		return &Tree{}
	}
	return &Tree{buildTree(depth - 1), buildTree(depth - 1)}
}

func (tree *Tree) count() int {
	if tree.left == nil {
		return 1
	}
	return 1 + tree.left.count() + tree.right.count()
}

func trees(text json.RawMessage) map[string]Step {
	options := parse[struct{ DepthMin int }](text)
	return map[string]Step{"run": func(argument json.RawMessage) Answer {
		depthMax := parse[int](argument)
		nodes := 0
		ms := timed(func() {
			nodes = buildTree(depthMax + 1).count()
			longLived := buildTree(depthMax)
			for depth := options.DepthMin; depth <= depthMax; depth += 2 {
				for i := 0; i < 1<<(depthMax-depth+options.DepthMin); i++ {
					nodes += buildTree(depth).count()
				}
			}
			nodes += longLived.count()
		})
		return Answer{"ms": ms, "nodes": nodes}
	}}
}

// GCBench: the peer of gcbench.mjs.

type benchNode struct {
	left, right *benchNode
	i, j        int32
}

func (node *benchNode) populate(depth int) {
	if depth == 0 {
		return
	}
	node.left = &benchNode{}
	node.right = &benchNode{}
	node.left.populate(depth - 1)
	node.right.populate(depth - 1)
}

func makeBenchTree(depth int) *benchNode {
	if depth == 0 {
		return &benchNode{}
	}
	return &benchNode{left: makeBenchTree(depth - 1), right: makeBenchTree(depth - 1)}
}

func (node *benchNode) count() int {
	if node == nil {
		return 0
	}
	return 1 + node.left.count() + node.right.count()
}

// kept holds what is made, so that the compiler cannot leave it out.
var kept *benchNode

func gcbench(text json.RawMessage) map[string]Step {
	options := parse[struct {
		Depths      struct{ Stretch, LongLived, Min, Max int }
		ArrayLength int
	}](text)
	depths := options.Depths
	nodesOf := func(depth int) int { return 1<<(depth+1) - 1 }
	return map[string]Step{"run": func(json.RawMessage) Answer {
		var result []any
		ms := timed(func() {
			kept = makeBenchTree(depths.Stretch)
			longLived := &benchNode{}
			longLived.populate(depths.LongLived)
			array := []float64{}
			for i := 0; i < options.ArrayLength; i++ {
				if i > 0 && i < options.ArrayLength/2 {
					array = append(array, 1/float64(i))
				} else {
					array = append(array, 0)
				}
			}
			made := 0
			for depth := depths.Min; depth <= depths.Max; depth += 2 {
				iterations := 2 * nodesOf(depths.Stretch) / nodesOf(depth)
				for i := 0; i < iterations; i++ {
					kept = &benchNode{}
					kept.populate(depth)
				}
				for i := 0; i < iterations; i++ {
					kept = makeBenchTree(depth)
				}
				made += 2 * iterations
			}
			result = []any{made, longLived.count(), array[1000]}
		})
		kept = nil
		return Answer{"ms": ms, "result": result}
	}}
}

// A million linked objects: the peer of build.mjs; and walks over a million: the peer of walk.mjs.

type Node struct {
	a, b, c *Node
	v       float64
}

func buildList(n int) *Node {
	var head *Node
	for i := 0; i < n; i++ {
		head = &Node{a: head, v: float64(i) + 0.5}
	}
	return head
}

func sumList(head *Node) (nodes int, total float64) {
	for node := head; node != nil; node = node.a {
		nodes++
		total += node.v
	}
	return
}

func build(text json.RawMessage) map[string]Step {
	n := parse[struct{ N int }](text).N
	return map[string]Step{"run": func(json.RawMessage) Answer {
		var head *Node
		ms := timed(func() { head = buildList(n) })
		nodes, total := sumList(head)
		expect("nodes in the chain", nodes, n)
		expect("their sum", total, math.Pow(float64(n), 2)/2)
		return Answer{"ms": ms, "dropMs": 0}
	}}
}

func (node *Node) sum() float64 {
	total := node.v
	if node.a != nil {
		total += node.a.sum()
	}
	if node.b != nil {
		total += node.b.sum()
	}
	return total
}

func walk(text json.RawMessage) map[string]Step {
	n := parse[struct{ N int }](text).N
	made := 0
	var balanced func(nodes int) *Node
	balanced = func(nodes int) *Node {
		if nodes == 0 {
			return nil
		}
		left := balanced((nodes - 1) >> 1)
		right := balanced(nodes - 1 - (nodes-1)>>1)
		made++
		return &Node{a: left, b: right, v: float64(made) - 0.5}
	}
	tree, list := balanced(n), buildList(n)
	return map[string]Step{"walk": func(argument json.RawMessage) Answer {
		var total float64
		ms := timed(func() {
			if parse[string](argument) == "tree" {
				total = tree.sum()
			} else {
				_, total = sumList(list)
			}
		})
		expect("sum", total, float64(n)*float64(n)/2)
		return Answer{"ms": ms}
	}}
}
