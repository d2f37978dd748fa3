/** Nothing: what importing any module costs. */
export const Heap = undefined;
