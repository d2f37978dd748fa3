/**
 * Marsaglia's xorshift32, a number in [0, 1) a call. The Python peers use the same one, so that a seed gives the same
 * graph on every side and the sides can be checked against each other.
 */
export function xorshift32(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}
