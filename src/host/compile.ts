/**
 * Functions made from text, one text a type: functions of one text share what the engine learns about their types, and
 * with thirty types in use that makes them twice as slow (docs/design/0003). Where making functions from text is
 * forbidden (a Content-Security-Policy without 'unsafe-eval') closures do the same.
 */

/** Whether this process lets functions be made from text. */
export const canCompile: boolean = (() => {
  try {
    return new Function("return true")() === true;
  } catch {
    return false;
  }
})();

/**
 * @param captured the names that `text` may use
 * @param text the body of a function that returns the function wanted
 * @param fallback makes the same function without text
 */
export function compile<F>(
  captured: Record<string, unknown>,
  text: string,
  fallback: () => F,
  isAllowed: boolean,
): F {
  if (!isAllowed) return fallback();
  return new Function(...Object.keys(captured), `"use strict"; ${text}`)(...Object.values(captured)) as F;
}

/** Count 1 and the type word as the one number whose bits they are: a single store. */
export function headerStart(typeWord: number): number {
  return new Float64Array(new Int32Array([1, typeWord]).buffer)[0];
}
