"""Full collections of graphs, alive and dead: the peer of collect.mjs, with the same seed and the same rules."""
import gc
from array import array

from random32 import xorshift32
from timing import timed

SEED = 0x9E3779B9
NEAR = 1000
NEXT = 20


class Node:
    __slots__ = ("a", "b", "c", "v")


def targets_of(shape, n):
    random = xorshift32(SEED).__next__
    targets = array("i")
    add = targets.append
    if shape == "random":
        for _ in range(3 * n):
            add(int(random() * n))
    elif shape == "near":
        for i in range(n):
            for _ in range(3):
                add(min(n - 1, max(0, i - NEAR + int(random() * (2 * NEAR + 1)))))
    elif shape == "ring":
        for i in range(n):
            add((i + 1) % n)
            add(int(random() * n))
            add(int(random() * n))
    else:
        for i in range(n):
            add((i + 1) % n)
            add((i + 1 + int(random() * NEXT)) % n)
            add((i + 1 + int(random() * NEXT)) % n)
    return targets


def make_structs(targets, n):
    nodes = [Node() for _ in range(n)]
    for i, node in enumerate(nodes):
        node.a = nodes[targets[3 * i]]
        node.b = nodes[targets[3 * i + 1]]
        node.c = nodes[targets[3 * i + 2]]
        node.v = i + 0.5
    return nodes[0]


def make_lists(targets, n):
    nodes = [[] for _ in range(n)]
    for i, node in enumerate(nodes):
        node += (nodes[targets[3 * i]], nodes[targets[3 * i + 1]], nodes[targets[3 * i + 2]], i + 0.5)
    return nodes[0]


def make_dicts(targets, n):
    nodes = [{} for _ in range(n)]
    for i, node in enumerate(nodes):
        for field in range(3):
            node["abc"[field]] = nodes[targets[3 * i + field]]
        node["v"] = i + 0.5
    return nodes[0]


BUILDERS = {"struct": make_structs, "list": make_lists, "dict": make_dicts}


def steps(options):
    n = options["n"]
    root = None
    gc.collect()
    gc.disable()

    def build(_):
        nonlocal root
        root = BUILDERS[options["kind"]](targets_of(options["shape"], n), n)
        gc.collect()

    def collect(_):
        ms, collected = timed(gc.collect)
        return {"ms": ms, "collected": collected}

    def drop(_):
        nonlocal root
        root = None
        return collect(None)

    return {"build": build, "collect": collect, "drop": drop}
