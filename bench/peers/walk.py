"""Walks over a million objects: the peer of walk.mjs."""
import gc

from timing import timed


class Node:
    __slots__ = ("a", "b", "c", "v")

    def __init__(self, a, b, v):
        self.a = a
        self.b = b
        self.c = None
        self.v = v

    def sum(self):
        total = self.v
        left = self.a
        if left is not None:
            total += left.sum()
        right = self.b
        if right is not None:
            total += right.sum()
        return total


def build_tree(n):
    made = 0

    def build(nodes):
        nonlocal made
        if nodes == 0:
            return None
        left = build((nodes - 1) >> 1)
        right = build(nodes - 1 - ((nodes - 1) >> 1))
        node = Node(left, right, made + 0.5)
        made += 1
        return node

    return build(n)


def build_list(n):
    head = None
    for i in range(n):
        head = Node(head, None, i + 0.5)
    return head


def sum_list(head):
    total = 0.0
    node = head
    while node is not None:
        total += node.v
        node = node.a
    return total


def steps(options):
    n = options["n"]
    tree = build_tree(n)
    chain = build_list(n)
    walks = {"tree": tree.sum, "list": lambda: sum_list(chain)}

    def walk(shape):
        ms, total = timed(walks[shape])
        assert total == n * n / 2, total
        return {"ms": ms}

    return {"walk": walk}
