"""Hash tables of a million keys: the peer of tables.mjs, with the same keys in the same order."""
from random32 import xorshift32
from timing import timed

SEED = 0x51ED270B
SPREAD = 0x9E3779B1


def positions_of(shuffled, n):
    positions = list(range(n))
    if shuffled:
        random = xorshift32(SEED).__next__
        for i in range(n - 1, 0, -1):
            other = int(random() * (i + 1))
            positions[i], positions[other] = positions[other], positions[i]
    return positions


def spread(number):
    return (number * SPREAD) & 0xFFFFFFFF


def make_texts(numbers):
    return ["item-%08x" % spread(number) for number in numbers]


def make_ints(numbers):
    return [value - 0x100000000 if value & 0x80000000 else value for value in map(spread, numbers)]


kept = {}


def keys_of(kind, shuffled, n):
    """By operation, its keys; all but the fresh ones are the same objects in every round."""
    if kind == "fresh":
        kept.clear()
        return make_keys(make_texts, shuffled, n)
    make = make_texts if kind == "same" else make_ints
    plan = make, shuffled, n
    if plan not in kept:
        kept.clear()
        keys = make_keys(make, shuffled, n)
        assert len({*keys["insert"], *keys["miss"]}) == 2 * n
        in_order = [keys["insert"][position] for position in positions_of(shuffled, n)]
        kept[plan] = {**keys, "hit": in_order, "delete": in_order}
    return kept[plan]


def make_keys(make, shuffled, n):
    positions = positions_of(shuffled, n)
    return {
        "insert": make(range(n)),
        "hit": make(positions),
        "miss": make([position + n for position in positions]),
        "delete": make(positions),
    }


def dict_insert(table, keys):
    for i, key in enumerate(keys):
        table[key] = i + 0.5
    return len(table)


def dict_hit(table, keys):
    total = 0.0
    for key in keys:
        total += table[key]
    return total


def dict_miss(table, keys):
    misses = 0
    for key in keys:
        if table.get(key) is None:
            misses += 1
    return misses


def dict_delete(table, keys):
    deleted = 0
    for key in keys:
        del table[key]
        deleted += 1
    return deleted - len(table)


def set_insert(table, keys):
    for key in keys:
        table.add(key)
    return len(table)


def set_hit(table, keys):
    hits = 0
    for key in keys:
        if key in table:
            hits += 1
    return hits


def set_miss(table, keys):
    misses = 0
    for key in keys:
        if key not in table:
            misses += 1
    return misses


def set_delete(table, keys):
    deleted = 0
    for key in keys:
        table.remove(key)
        deleted += 1
    return deleted - len(table)


LOOPS = {
    "dict": {"insert": dict_insert, "hit": dict_hit, "miss": dict_miss, "delete": dict_delete},
    "set": {"insert": set_insert, "hit": set_hit, "miss": set_miss, "delete": set_delete},
}


def steps(options):
    plan = table = keys = None

    def prepare(following):
        nonlocal plan, table, keys
        plan = following
        table = {} if plan["container"] == "dict" else set()
        keys = keys_of(plan["kind"], plan["shuffled"], plan["n"])

    def run(operation):
        loop = LOOPS[plan["container"]][operation]
        ms, result = timed(lambda: loop(table, keys[operation]))
        n = plan["n"]
        expected = n * n / 2 if plan["container"] == "dict" and operation == "hit" else n
        assert result == expected, (plan, operation, result)
        return {"ms": ms}

    return {"prepare": prepare, "run": run}
