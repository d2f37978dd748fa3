"""Automatic collections while many live objects are built: the peer of auto-collect.mjs."""
import gc
from time import perf_counter

from random32 import xorshift32
from timing import timed


class Node:
    __slots__ = ("a", "b", "c", "v")

    def __init__(self, a, b, c, v):
        self.a = a
        self.b = b
        self.c = c
        self.v = v


def held(n, seed):
    nodes = []
    for i in range(n):
        nodes.append(Node(None, None, None, i + 0.5))
    return nodes


def linked(n, seed):
    random = xorshift32(seed).__next__
    nodes = []
    for i in range(n):
        previous = nodes[i - 1] if i > 0 else None
        older = nodes[int(random() * i)] if i > 0 else None
        nodes.append(Node(previous, older, None, i + 0.5))
    return nodes


PROGRAMS = {"held": held, "linked": linked}


def steps(options):
    seed = options["seed"]
    total = longest = pauses = begun = 0

    def hear(phase, info):
        nonlocal total, longest, pauses, begun
        if phase == "start":
            begun = perf_counter()
            return
        pause = (perf_counter() - begun) * 1000
        total += pause
        longest = max(longest, pause)
        pauses += 1

    def run(argument):
        nonlocal total, longest, pauses
        program, n = PROGRAMS[argument["program"]], argument["n"]
        gc.collect()
        total = longest = pauses = 0
        before = gc.get_stats()
        gc.callbacks.append(hear)
        ms, nodes = timed(lambda: program(n, seed))
        gc.callbacks.clear()
        collections = [after["collections"] - one["collections"] for after, one in zip(gc.get_stats(), before)]
        return {
            "ms": total,
            "pauses": pauses,
            "longestMs": longest,
            "wholeMs": ms,
            "collections": ",".join(map(str, collections)),
            "nodes": len(nodes),
            "lastValue": nodes[-1].v,
        }

    return {"run": run}
