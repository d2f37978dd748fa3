<?php
// The programs of trees.mjs, gcbench.mjs, collect.mjs, build.mjs and walk.mjs, for PHP's counts and its collector of cycles.

final class Tree
{
    public function __construct(public ?Tree $left, public ?Tree $right)
    {
    }
}

function build_tree(int $depth): Tree
{
    return $depth === 0 ? new Tree(null, null) : new Tree(build_tree($depth - 1), build_tree($depth - 1));
}

function count_tree(Tree $tree): int
{
    return $tree->left === null ? 1 : 1 + count_tree($tree->left) + count_tree($tree->right);
}

function trees(array $options): array
{
    $program = function (int $depthMin, int $depthMax): int {
        $nodes = count_tree(build_tree($depthMax + 1));
        $longLived = build_tree($depthMax);
        for ($depth = $depthMin; $depth <= $depthMax; $depth += 2) {
            for ($i = 1 << ($depthMax - $depth + $depthMin); $i > 0; $i--) {
                $nodes += count_tree(build_tree($depth));
            }
        }
        return $nodes + count_tree($longLived);
    };
    return ["run" => function (int $depthMax) use ($options, $program) {
        [$ms, $nodes] = timed(fn() => $program($options["depthMin"], $depthMax));
        return ["ms" => $ms, "nodes" => $nodes];
    }];
}

final class BenchNode
{
    public int $i = 0;
    public int $j = 0;

    public function __construct(public ?BenchNode $left = null, public ?BenchNode $right = null)
    {
    }
}

function populate(BenchNode $node, int $depth): void
{
    if ($depth === 0) {
        return;
    }
    $node->left = new BenchNode();
    $node->right = new BenchNode();
    populate($node->left, $depth - 1);
    populate($node->right, $depth - 1);
}

function make_bench_tree(int $depth): BenchNode
{
    return $depth === 0 ? new BenchNode() : new BenchNode(make_bench_tree($depth - 1), make_bench_tree($depth - 1));
}

function count_bench_tree(?BenchNode $node): int
{
    return $node === null ? 0 : 1 + count_bench_tree($node->left) + count_bench_tree($node->right);
}

function gcbench(array $options): array
{
    $program = function () use ($options): array {
        ["stretch" => $stretch, "longLived" => $longLivedDepth, "min" => $min, "max" => $max] = $options["depths"];
        $nodesOf = fn(int $depth) => (1 << ($depth + 1)) - 1;
        make_bench_tree($stretch);
        $longLived = new BenchNode();
        populate($longLived, $longLivedDepth);
        $array = [];
        for ($i = 0; $i < $options["arrayLength"]; $i++) {
            $array[] = $i > 0 && $i < $options["arrayLength"] / 2 ? 1 / $i : 0.0;
        }
        $trees = 0;
        for ($depth = $min; $depth <= $max; $depth += 2) {
            $iterations = intdiv(2 * $nodesOf($stretch), $nodesOf($depth));
            for ($i = 0; $i < $iterations; $i++) {
                populate(new BenchNode(), $depth);
            }
            for ($i = 0; $i < $iterations; $i++) {
                make_bench_tree($depth);
            }
            $trees += 2 * $iterations;
        }
        return [$trees, count_bench_tree($longLived), $array[1000]];
    };
    return ["run" => function () use ($program) {
        [$ms, $result] = timed($program);
        return ["ms" => $ms, "result" => $result];
    }];
}

final class Node
{
    public ?Node $a = null;
    public ?Node $b = null;
    public ?Node $c = null;

    public function __construct(public float $v)
    {
    }

    public function sum(): float
    {
        $total = $this->v;
        if ($this->a !== null) {
            $total += $this->a->sum();
        }
        if ($this->b !== null) {
            $total += $this->b->sum();
        }
        return $total;
    }
}

function xorshift32(int $state): Closure
{
    return function () use (&$state): float {
        $state ^= ($state << 13) & 0xFFFFFFFF;
        $state ^= $state >> 17;
        $state ^= ($state << 5) & 0xFFFFFFFF;
        return $state / 4294967296;
    };
}

/** Where the references of node i lead, by the rules of lib/graphs.mjs. */
function target_rule(string $shape, int $n): Closure
{
    $random = xorshift32(0x9E3779B9);
    return match ($shape) {
        "random" => fn(int $i, int $field) => (int) ($random() * $n),
        "near" => fn(int $i, int $field) => min($n - 1, max(0, $i - 1000 + (int) ($random() * 2001))),
        "ring" => fn(int $i, int $field) => $field === 0 ? ($i + 1) % $n : (int) ($random() * $n),
        "next20" => fn(int $i, int $field) => ($i + 1 + ($field === 0 ? 0 : (int) ($random() * 20))) % $n,
    };
}

/**
 * PHP's collector looks only at what is reached from objects that have lost a reference since it last ran. So that it has the
 * question of the others, whether the whole graph is alive, the root loses one before each collection.
 */
function collect(array $options): array
{
    $root = null;
    gc_disable();
    $collect = function () use (&$root): array {
        $other = $root;
        $other = null;
        [$ms, $collected] = timed(gc_collect_cycles(...));
        return ["ms" => $ms, "collected" => $collected];
    };
    return [
        "build" => function () use (&$root, $options): void {
            $n = $options["n"];
            $target = target_rule($options["shape"], $n);
            $nodes = [];
            for ($i = 0; $i < $n; $i++) {
                $nodes[] = new Node($i + 0.5);
            }
            foreach ($nodes as $i => $node) {
                $node->a = $nodes[$target($i, 0)];
                $node->b = $nodes[$target($i, 1)];
                $node->c = $nodes[$target($i, 2)];
            }
            $root = $nodes[0];
            unset($nodes, $node);
            gc_collect_cycles();
        },
        "collect" => $collect,
        "drop" => function () use (&$root): array {
            $root = null;
            [$ms, $collected] = timed(gc_collect_cycles(...));
            return ["ms" => $ms, "collected" => $collected];
        },
    ];
}

function build_list(int $n): Node
{
    $head = null;
    for ($i = 0; $i < $n; $i++) {
        $node = new Node($i + 0.5);
        $node->a = $head;
        $head = $node;
    }
    return $head;
}

/** @return array{int, float} nodes and the sum of their values */
function sum_list(Node $head): array
{
    $nodes = 0;
    $total = 0.0;
    for ($node = $head; $node !== null; $node = $node->a) {
        $nodes++;
        $total += $node->v;
    }
    return [$nodes, $total];
}

function build(array $options): array
{
    $n = $options["n"];
    return ["run" => function () use ($n) {
        [$ms, $head] = timed(fn() => build_list($n));
        expect("nodes in the chain and their sum", sum_list($head), [$n, $n * $n / 2.0]);
        [$dropMs] = timed(function () use (&$head) {
            $head = null;
        });
        gc_collect_cycles();
        return ["ms" => $ms, "dropMs" => $dropMs];
    }];
}

function walk(array $options): array
{
    $n = $options["n"];
    $made = 0;
    $balanced = function (int $nodes) use (&$balanced, &$made): ?Node {
        if ($nodes === 0) {
            return null;
        }
        $left = $balanced(($nodes - 1) >> 1);
        $right = $balanced($nodes - 1 - (($nodes - 1) >> 1));
        $node = new Node($made++ + 0.5);
        $node->a = $left;
        $node->b = $right;
        return $node;
    };
    $tree = $balanced($n);
    $list = build_list($n);
    $walks = ["tree" => fn() => $tree->sum(), "list" => fn() => sum_list($list)[1]];
    return ["walk" => function (string $shape) use ($walks, $n) {
        [$ms, $total] = timed($walks[$shape]);
        expect("sum of the $shape", $total, $n * $n / 2.0);
        return ["ms" => $ms];
    }];
}
