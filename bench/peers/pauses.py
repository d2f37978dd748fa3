"""Pauses, as the program sees them: the rule of lib/pauses.mjs. Python has no event loop here: it looks at the clock until one is due."""
from array import array
from math import ceil
from time import perf_counter


def at_rate(rate_per_second, seconds, operation):
    total = round(rate_per_second * seconds)
    pauses = array("d", bytes(8 * total))
    interval = 1000 / rate_per_second
    start = perf_counter() * 1000
    over = start
    for number in range(total):
        due = start + number * interval
        while perf_counter() * 1000 < due:
            pass
        operation(number)
        end = perf_counter() * 1000
        pauses[number] = end - (over if over > due else due)
        over = end
    return pauses, max(0, over - (start + (total - 1) * interval))


def quantiles(pauses):
    ordered = sorted(pauses)

    def rank(share):
        return ordered[max(0, ceil(share * len(ordered)) - 1)]

    return {"p50": rank(0.5), "p99": rank(0.99), "p999": rank(0.999), "max": ordered[-1]}
