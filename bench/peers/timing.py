from time import perf_counter


def timed(run):
    """Run something once: milliseconds and result."""
    start = perf_counter()
    result = run()
    return (perf_counter() - start) * 1000, result
