"""Bytes a node: the peer of bytes.mjs."""
import gc
import os
import sys


class Node:
    __slots__ = ("a", "b", "c", "v")

    def __init__(self, a, b, c, v):
        self.a = a
        self.b = b
        self.c = c
        self.v = v


def resident():
    """Bytes of this process in memory; None where the system does not say so in /proc."""
    try:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def steps(options):
    n = options["n"]

    def measure(_):
        before = resident()
        head = None
        for i in range(n):
            head = Node(head, None, None, i + 0.5)
        after = resident()
        nodes = sum(type(one) is Node for one in gc.get_objects())
        # getsizeof counts the collector's header too; the float is an object of its own.
        told = sys.getsizeof(head) + sys.getsizeof(head.v)
        if before is None:
            return {"bytes": told, "nodes": nodes, "how": "sys.getsizeof", "getsizeof": told}
        return {"bytes": (after - before) / n, "nodes": nodes, "how": "RSS growth", "getsizeof": told}

    return {"measure": measure}
