"""Boehm's GCBench: the peer of gcbench.mjs."""
from timing import timed


class Node:
    __slots__ = ("left", "right", "i", "j")

    def __init__(self, left=None, right=None):
        self.left = left
        self.right = right
        self.i = 0
        self.j = 0


def populate(node, depth):
    if depth == 0:
        return
    node.left = Node()
    node.right = Node()
    populate(node.left, depth - 1)
    populate(node.right, depth - 1)


def make_tree(depth):
    if depth == 0:
        return Node()
    return Node(make_tree(depth - 1), make_tree(depth - 1))


def count(node):
    return 0 if node is None else 1 + count(node.left) + count(node.right)


def nodes_of(depth):
    return 2 ** (depth + 1) - 1


def program(depths, array_length):
    make_tree(depths["stretch"])
    long_lived = Node()
    populate(long_lived, depths["longLived"])
    array = []
    for i in range(array_length):
        array.append(1 / i if 0 < i < array_length / 2 else 0.0)
    trees = 0
    for depth in range(depths["min"], depths["max"] + 1, 2):
        iterations = 2 * nodes_of(depths["stretch"]) // nodes_of(depth)
        for _ in range(iterations):
            populate(Node(), depth)
        for _ in range(iterations):
            make_tree(depth)
        trees += 2 * iterations
    return [trees, count(long_lived), array[1000]]


def steps(options):
    def run(_):
        ms, result = timed(lambda: program(options["depths"], options["arrayLength"]))
        return {"ms": ms, "result": result}

    return {"run": run}
