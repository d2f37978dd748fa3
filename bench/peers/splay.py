"""A splay tree with payloads, changed in batches: the peer of splay.mjs."""
from math import isnan, nan, sqrt

from pauses import quantiles
from random32 import xorshift32
from time import perf_counter


class Node:
    __slots__ = ("key", "value", "left", "right")

    def __init__(self, key, value):
        self.key = key
        self.value = value
        self.left = None
        self.right = None


class Leaf:
    __slots__ = ("array", "string")

    def __init__(self, array, string):
        self.array = array
        self.string = string


class Inner:
    __slots__ = ("left", "right")

    def __init__(self, left, right):
        self.left = left
        self.right = right


def make_payload(depth, tag):
    if depth == 0:
        return Leaf([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], f"String for key {tag} in leaf node")
    return Inner(make_payload(depth - 1, tag), make_payload(depth - 1, tag))


class SplayTree:
    def __init__(self):
        self.root = None
        self.size = 0

    def insert(self, key, value):
        node = Node(key, value)
        if self.root is not None:
            self.splay(key)
            root = self.root
            if key > root.key:
                node.left = root
                node.right = root.right
                root.right = None
            else:
                node.right = root
                node.left = root.left
                root.left = None
        self.root = node
        self.size += 1

    def remove(self, key):
        self.splay(key)
        assert self.root.key == key
        right = self.root.right
        if self.root.left is None:
            self.root = right
        else:
            self.root = self.root.left
            self.splay(key)
            self.root.right = right
        self.size -= 1

    def key_before(self, key):
        self.splay(key)
        if self.root.key < key:
            return self.root.key
        node = self.root.left
        if node is None:
            return nan
        while node.right is not None:
            node = node.right
        return node.key

    def has(self, key):
        if self.root is None:
            return False
        self.splay(key)
        return self.root.key == key

    def splay(self, key):
        parts = left = right = Node(nan, None)
        current = self.root
        while True:
            if key < current.key:
                following = current.left
                if following is None:
                    break
                if key < following.key:
                    current.left = following.right
                    following.right = current
                    current = following
                    if current.left is None:
                        break
                right.left = current
                right = current
                current = current.left
            elif key > current.key:
                following = current.right
                if following is None:
                    break
                if key > following.key:
                    current.right = following.left
                    following.left = current
                    current = following
                    if current.right is None:
                        break
                left.right = current
                left = current
                current = current.right
            else:
                break
        left.right = current.left
        right.left = current.right
        current.left = parts.right
        current.right = parts.left
        self.root = current

    def check(self, size):
        waiting = []
        last = -1.0
        nodes = 0
        total = 0
        node = self.root
        while node is not None or waiting:
            while node is not None:
                waiting.append(node)
                node = node.left
            node = waiting.pop()
            assert node.key > last
            last = node.key
            total += node.key
            nodes += 1
            node = node.right
        assert nodes == size, nodes
        return total


def steps(options):
    random = xorshift32(options["seed"]).__next__
    tree = SplayTree()

    def insert_new():
        key = random()
        while tree.has(key):
            key = random()
        tree.insert(key, make_payload(options["payloadDepth"], str(int(key * 4294967296))))
        return key

    def batch():
        for _ in range(options["modifications"]):
            key = insert_new()
            before = tree.key_before(key)
            tree.remove(key if isnan(before) else before)

    def run(batches):
        times = []
        for _ in range(batches):
            start = perf_counter()
            batch()
            times.append((perf_counter() - start) * 1000)
        latency = sqrt(sum(time * time for time in times) / batches)
        result = tree.check(options["size"])
        return {"ms": sum(times), "latencyMs": latency, "pauses": quantiles(times), "result": result}

    while tree.size < options["size"]:
        insert_new()
    run(options["warmUpBatches"])
    return {"run": lambda _: run(options["batches"])}
