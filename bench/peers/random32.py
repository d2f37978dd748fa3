"""The random numbers of lib/random.mjs: a seed gives the same graph on every side."""


def xorshift32(state):
    """Marsaglia's xorshift32, a number in [0, 1) a step."""
    while True:
        state ^= (state << 13) & 0xFFFFFFFF
        state ^= state >> 17
        state ^= (state << 5) & 0xFFFFFFFF
        yield state / 4294967296
