/**
 * Functions made from text, one text a type: functions of one text share what the engine learns about their types, and
 * with thirty types in use that makes them twice as slow (docs/design/0003). Where making functions from text is
 * forbidden (a Content-Security-Policy without 'unsafe-eval') closures do the same.
 */

/** What stacks name as the file of these functions: the file that made them would be a bundle's. */
export const COMPILED_FILE = "ouroheap:compiled";

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
  const body = `"use strict"; ${text}\n//# sourceURL=${COMPILED_FILE}`;
  return new Function(...Object.keys(captured), body)(...Object.values(captured)) as F;
}

/** Count 1 and the type word as the one number whose bits they are: a single store. */
export function headerStart(typeWord: number): number {
  return new Float64Array(new Int32Array([1, typeWord]).buffer)[0];
}
