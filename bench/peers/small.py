"""The small program: the peer of programs/small.mjs."""
import gc
import sys
from collections import deque
from resource import RUSAGE_SELF, getrusage

nodes = int(sys.argv[1])


class Item:
    __slots__ = ("value", "parent", "children")

    def __init__(self, value, parent):
        self.value = value
        self.parent = parent
        self.children = []

    def add(self, value):
        self.children.append(Item(value, self))

    def sum(self):
        total = self.value
        for child in self.children:
            total += child.sum()
        return total

    def depth(self):
        depth = 0
        item = self.parent
        while item is not None:
            depth += 1
            item = item.parent
        return depth


root = Item(0, None)

waiting = deque([root])
made = 1
while made < nodes:
    parent = waiting.popleft()
    for _ in range(8):
        if made == nodes:
            break
        parent.add(made)
        made += 1
        waiting.append(parent.children[-1])
waiting = parent = None

deepest = 0
sevenths = 0


def visit(item):
    global deepest, sevenths
    deepest = max(deepest, item.depth())
    if item.value % 7 == 0:
        sevenths += 1
    for child in item.children:
        visit(child)


visit(root)
total = root.sum()

root = None
collected = gc.collect()
print(f"[{total},{sevenths},{deepest},{collected}]")
print(getrusage(RUSAGE_SELF).ru_maxrss)  # Linux counts it in KiB
