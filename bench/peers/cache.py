"""A cache of the pages used last: the peer of cache.mjs."""
from time import perf_counter

from pauses import quantiles
from random32 import xorshift32


class Entry:
    __slots__ = ("older", "newer", "key", "body", "uses")

    def __init__(self, key, body):
        self.older = None
        self.newer = None
        self.key = key
        self.body = body
        self.uses = 0


class Cache:
    def __init__(self, capacity):
        self.capacity = capacity
        self.table = {}
        self.ring = ring = Entry("", "")
        ring.older = ring.newer = ring

    def append(self, entry):
        ring = self.ring
        newest = ring.older
        entry.older = newest
        entry.newer = ring
        newest.newer = entry
        ring.older = entry

    def unlink(self, entry):
        older, newer = entry.older, entry.newer
        older.newer = newer
        newer.older = older

    def use(self, key):
        found = self.table.get(key)
        if found is not None:
            self.unlink(found)
            self.append(found)
            found.uses += 1
            return found.uses
        if len(self.table) == self.capacity:
            oldest = self.ring.newer
            self.unlink(oldest)
            del self.table[oldest.key]
        entry = Entry(key, f"This is the body of {key}, as long as bodies are.")
        self.append(entry)
        self.table[key] = entry
        return 0


def steps(options):
    random = xorshift32(options["seed"]).__next__
    cache = Cache(options["capacity"])
    universe = options["universe"]

    def run(operations):
        times = []
        hits = 0
        for _ in range(operations):
            key = f"page/{int(random() ** 2.5 * universe)}"
            start = perf_counter()
            if cache.use(key) > 0:
                hits += 1
            times.append((perf_counter() - start) * 1000)
        return {"ms": sum(times), "pauses": quantiles(times), "result": [hits, len(cache.table)]}

    while len(cache.table) < options["capacity"]:
        run(options["warmUp"])
    return {"run": lambda _: run(options["operations"])}
