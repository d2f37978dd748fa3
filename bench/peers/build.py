"""A million linked objects: the peer of build.mjs."""
import gc

from timing import timed


class Node:
    __slots__ = ("a", "b", "c", "v")

    def __init__(self, a, b, c, v):
        self.a = a
        self.b = b
        self.c = c
        self.v = v


def build(n):
    head = Node(None, None, None, 0.5)
    for i in range(1, n):
        head = Node(head, None, None, i + 0.5)
    return head


def check_chain(head, n):
    nodes = 0
    total = 0.0
    node = head
    while node is not None:
        nodes += 1
        total += node.v
        node = node.a
    assert (nodes, total) == (n, n * n / 2), (nodes, total)


def steps(options):
    n = options["n"]

    def run(_):
        ms, head = timed(lambda: build(n))
        check_chain(head, n)

        def drop():
            nonlocal head
            head = None

        drop_ms, _ = timed(drop)
        gc.collect()
        return {"ms": ms, "dropMs": drop_ms}

    return {"run": run}
