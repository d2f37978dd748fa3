"""Binary trees: the peer of trees.mjs, with automatic collections as Python has them."""
from timing import timed


class Tree:
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left = left
        self.right = right


def build(depth):
    if depth == 0:
        return Tree(None, None)
    return Tree(build(depth - 1), build(depth - 1))


def count(tree):
    if tree.left is None:
        return 1
    return 1 + count(tree.left) + count(tree.right)


def program(depth_min, depth_max):
    nodes = count(build(depth_max + 1))
    long_lived = build(depth_max)
    for depth in range(depth_min, depth_max + 1, 2):
        for _ in range(1 << (depth_max - depth + depth_min)):
            nodes += count(build(depth))
    return nodes + count(long_lived)


def steps(options):
    def run(depth_max):
        ms, nodes = timed(lambda: program(options["depthMin"], depth_max))
        return {"ms": ms, "nodes": nodes}

    return {"run": run}
