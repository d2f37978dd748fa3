/** The headers under which the page is tried, and what is then different. */
const ISOLATED = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
};
/** Without 'unsafe-eval'. */
const STRICT = {
  "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:",
};

const USUAL = {
  headers: {},
  query: "",
  isIsolated: false,
  memory: "ArrayBuffer",
  hasWebgl: true,
  violations: [],
};

/**
 * `violations` is what the policy stops: the library tries once whether it may make functions from text, and a policy
 * without 'unsafe-eval' reports that to the page though it is caught.
 */
export const MODES = [
  { ...USUAL, name: "isolated", headers: ISOLATED, isIsolated: true, memory: "SharedArrayBuffer" },
  { ...USUAL, name: "not isolated" },
  { ...USUAL, name: "strict policy", headers: STRICT, violations: ["eval"] },
  { ...USUAL, name: "without WebGL", query: "?webgl=off", hasWebgl: false },
];
