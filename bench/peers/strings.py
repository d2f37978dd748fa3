"""Names made, read and compared: the peer of strings.mjs."""
from timing import timed


def steps(options):
    n = options["names"]

    def fill():
        names = []
        for i in range(n):
            names.append(f"name {i} of some")
        return names

    def read(names):
        found = 0
        for i in range(n):
            if names[i].endswith("9 of some"):
                found += 1
        return found

    def compare(names):
        equal = 0
        for i in range(n):
            if names[i] == other[i]:
                equal += 1
        return equal

    def run(_):
        ms, names = timed(fill)
        read_ms, found = timed(lambda: read(names))
        compare_ms, equal = timed(lambda: compare(names))
        return {"ms": ms, "readMs": read_ms, "compareMs": compare_ms, "result": [found, equal]}

    other = fill()
    return {"run": run}
