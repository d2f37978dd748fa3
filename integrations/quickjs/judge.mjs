/** What QuickJS itself says about leaks: its allocator's count, its runtime's assertion, its debug build's leak sanitizer. */
import { DEBUG_SYNC, newQuickJSWASMModule, RELEASE_SYNC, TestQuickJSWASMModule } from "quickjs-emscripten";

export const COUNTER =
  "malloc_count of runtime.computeMemoryUsage(); ok asks also for the runtime's gc_obj_list assertion and the debug build's leak sanitizer";

/**
 * Run a body with a context, after a short run of the same; then end context and runtime.
 * @returns blocks before and after, and what QuickJS said at the end: "" if nothing
 */
export async function watch(variant, warmUp, body) {
  const module = new TestQuickJSWASMModule(await newQuickJSWASMModule(variant));
  const runtime = module.newRuntime();
  const context = runtime.newContext();
  // QuickJS builds a built-in function when it is first used, and keeps it: that is not what is measured.
  warmUp(module, context);
  const before = mallocCount(runtime, context);
  const result = body(module, context);
  const after = mallocCount(runtime, context);
  return { before, after, result, complaint: complaintOf(module, runtime, context) };
}

export const release = RELEASE_SYNC;
export const debug = DEBUG_SYNC;

function mallocCount(runtime, context) {
  return runtime.computeMemoryUsage().consume((usage) => context.dump(usage).malloc_count);
}

/** A failed assertion aborts the WASM module and throws; what it printed is the library's, and goes to stderr. */
function complaintOf(module, runtime, context) {
  try {
    context.dispose();
    runtime.dispose();
    // Version 0.32.0 does not take an ended runtime out of this set.
    for (const ended of module.runtimes) if (!ended.alive) module.runtimes.delete(ended);
    module.assertNoMemoryAllocated();
    return "";
  } catch (error) {
    return error.message;
  }
}
