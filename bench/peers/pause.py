"""A program with ten million live objects that changes them: the peer of pause.mjs."""
import gc

from pauses import at_rate, quantiles
from random32 import xorshift32


class Node:
    __slots__ = ("a", "b", "c", "v")

    def __init__(self, a, b, c, v):
        self.a = a
        self.b = b
        self.c = c
        self.v = v


def make_pair(v):
    parent = Node(None, Node(None, None, None, 0.5), None, v)
    parent.b.a = parent
    return parent


def steps(options):
    slots = []

    def prepare(argument):
        pairs = argument["objects"] // 2
        gc.disable()
        for i in range(pairs):
            slots.append(make_pair(i + 0.5))
            if i % 2 == 1:
                slots[i - 1].c = slots[i]
        gc.collect()
        gc.enable()

    def run(argument):
        pairs = len(slots)
        random = xorshift32(options["seed"]).__next__

        def operation(number):
            slot = int(random() * pairs)
            if number % 2 == 0:
                slots[slot] = make_pair(number + 0.5)
            else:
                slots[slot & ~1].c = slots[int(random() * pairs) | 1]

        pauses, late_ms = at_rate(argument["rate"], argument["seconds"], operation)
        total = 0.0
        for parent in slots:
            total += parent.v + parent.b.v
            assert parent.b.a is parent
        return {**quantiles(pauses), "lateMs": late_ms, "operations": len(pauses), "sum": total}

    return {"prepare": prepare, "run": run}
