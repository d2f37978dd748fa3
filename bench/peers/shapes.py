"""The shapes of pyperformance's gc_collect and gc_traversal: the peer of shapes.mjs."""
import gc

from timing import timed


class Node:
    def __init__(self, previous):
        self.next = None
        self.previous = previous


def make_cycle(links):
    first = current = Node(None)
    for _ in range(links):
        current.next = Node(current)
        current = current.next
    current.next = first
    first.previous = current
    return first


def make_lists(levels):
    current = []
    for length in range(levels):
        following = [None] * length
        for index in range(length):
            following[index] = current
        current = following
    return current


def steps(options):
    collections = options["collections"]
    lists = None

    def gc_collect():
        total = 0
        for _ in range(collections["gc_collect"]):
            gc.collect()
            cycles = [make_cycle(options["links"]) for _ in range(options["cycles"])]
            del cycles
            ms, collected = timed(gc.collect)
            # A node may have a dict of its own.
            assert collected >= options["cycles"] * (options["links"] + 1), collected
            total += ms
        return {"ms": total}

    def gc_traversal():
        nonlocal lists
        if lists is None:
            lists = make_lists(options["levels"])
        total = 0
        for _ in range(collections["gc_traversal"]):
            gc.collect()
            ms, collected = timed(gc.collect)
            assert collected == 0, collected
            total += ms
        return {"ms": total}

    shapes = {"gc_collect": gc_collect, "gc_traversal": gc_traversal}
    return {"run": lambda shape: shapes[shape]()}
