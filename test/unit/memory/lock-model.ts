/**
 * Runs the code of memory/lock.ts in every order in which small programs on several threads can take their steps. A step is one
 * call of an Atomics function.
 *
 * A thread's code is deterministic: what it does next follows from what its calls have returned. So a thread is explored once, as an
 * automaton: a node is a call that it is about to make, an edge what that returned. A node is found by running the program from its
 * beginning with the results so far, until the call that has none yet. The product of the automata with the words they work on is
 * then walked without running anything.
 *
 * Results since the last sleep tell nodes apart, together with what the lock remembers across a sleep; that is all there is of local
 * state there.
 */
import * as L from "../../../src/memory/layout.js";
import { type GuardMode, HeapLock } from "../../../src/memory/lock.js";
import type { LockAtomics } from "../../../src/memory/lock-wait.js";

/** What a thread does: lock and leave, or wait for another to end and report that. */
export type Operation =
  | { readonly mode: GuardMode; readonly timeoutMs?: number }
  | { readonly reports: number };

export interface Model {
  readonly programs: readonly (readonly Operation[])[];
  /** Threads whose sleeps may end by their limit, at any moment. Those of the others last until an event, so that none can be missing. */
  readonly timeouts?: readonly number[];
  /** Threads that may end at any moment: no more than one of them does. */
  readonly mortal?: readonly number[];
  /** They end only while they wait. For the others that is the same as if they were busy with other things for ever. */
  readonly endsWaiting?: boolean;
  /** Counts how many others enter while this thread waits and has a turn. */
  readonly overtaken?: number;
  /** A lock with a defect, to see that it is noticed. */
  readonly Lock?: typeof HeapLock;
}

export interface Exploration {
  readonly states: number;
  /** What went wrong, with the steps that lead there. */
  readonly failures: string[];
  readonly overtakenMax: number;
  /** Different ways in which the programs end. */
  readonly ends: number;
  /** Steps at which somebody gave up. */
  readonly gaveUp: number;
  /** Steps that repair the heap. */
  readonly repairs: number;
}

interface Call {
  readonly name: string;
  readonly word: number;
  readonly operands: readonly number[];
  readonly mode?: GuardMode;
}
interface Node {
  readonly call: Call;
  readonly results: readonly Result[];
  readonly next: Map<Result, number>;
}
type Result = number | "ok" | "not-equal" | "timed-out";

const WORDS = [
  L.CONTROL_LOCK,
  L.CONTROL_LOCK_WRITERS,
  L.CONTROL_LOCK_READERS,
  L.CONTROL_LOCK_TURN,
  L.CONTROL_LOCK_EVENTS,
  L.CONTROL_DAMAGED,
];
const [LOCK, WRITERS, READERS, TURN, , DAMAGED] = WORDS.keys();
const RUNNING = 0;
const ASLEEP = 1;
const DEAD = 2;
const REPORTED = 3;
const FAILURES_MAX = 3;
const PENDING = new Error("the call has no result yet");

/** One thread's program, as far as it has been run. */
class Automaton {
  readonly nodes: Node[] = [];
  private readonly ids = new Map<string, number>();
  private readonly thread: number;
  private readonly program: readonly Operation[];

  private readonly Lock: typeof HeapLock;

  constructor(thread: number, program: readonly Operation[], Lock: typeof HeapLock) {
    this.thread = thread;
    this.program = program;
    this.Lock = Lock;
    this.run([]);
  }

  /** The node after a call returned `result`. */
  step(id: number, result: Result): number {
    const node = this.nodes[id];
    let next = node.next.get(result);
    if (next === undefined) {
      next = this.run([...node.results, result]);
      node.next.set(result, next);
    }
    return next;
  }

  private run(results: readonly Result[]): number {
    const calls = new Replay(this.thread, results, this.Lock);
    const call = calls.run(this.program);
    const key = `${calls.mark} ${results.slice(calls.markAt).join()}`;
    let id = this.ids.get(key);
    if (id === undefined) {
      id = this.nodes.push({ call, results, next: new Map() }) - 1;
      this.ids.set(key, id);
    }
    return id;
  }
}

/** One run of a program: its calls return what was written down. */
class Replay {
  /** The state across the last sleep or at the start of the last operation, and how many results there were. */
  mark = "";
  markAt = 0;
  private readonly results: readonly Result[];
  private readonly lock: HeapLock;
  private used = 0;
  private nowMs = 0;
  private operation = 0;
  private pending: Call | undefined;

  constructor(thread: number, results: readonly Result[], Lock: typeof HeapLock) {
    this.results = results;
    this.lock = new Lock(new Int32Array(0), thread, this.atomics(), () => this.nowMs);
    // Whoever may write repairs what a dead thread has left.
    this.lock.onAcquire = (mode) => {
      if (mode === "exclusive" && this.call("load", DAMAGED) === 1) this.call("store", DAMAGED, 0);
    };
  }

  /** @returns the first call without a result; "done" after the last */
  run(program: readonly Operation[]): Call {
    try {
      for (const operation of program) {
        this.operation++;
        this.nowMs = 0;
        this.setMark();
        if ("mode" in operation) this.guard(operation);
        else if (this.call("awaitEnd", operation.reports) === 1) this.lock.end(operation.reports);
      }
      this.operation++;
      this.setMark();
    } catch (error) {
      if (this.pending === undefined) throw error;
    }
    return this.pending ?? { name: "done", word: 0, operands: [] };
  }

  private guard({ mode, timeoutMs = Number.POSITIVE_INFINITY }: Extract<Operation, { mode: GuardMode }>) {
    const outcome = this.lock.lock(mode, timeoutMs);
    if (outcome !== "entered") {
      this.call("gaveUp", 0);
      return;
    }
    this.call(mode, 0);
    this.lock.leave();
  }

  private setMark(): void {
    const { mode, depth } = this.lock;
    const { waits } = this.lock as unknown as { waits: Set<object> };
    this.mark = JSON.stringify([this.operation, this.nowMs, mode, depth, ...waits]);
    this.markAt = this.used;
  }

  private call(name: string, word: number, ...operands: number[]): Result {
    if (this.pending === undefined && this.used < this.results.length) return this.results[this.used++];
    // Code in `finally` goes on calling: it is not there yet.
    this.pending ??= { name, word, operands };
    throw PENDING;
  }

  private atomics(): LockAtomics {
    const call =
      (name: string) =>
      (_: Int32Array, word: number, ...operands: number[]): number =>
        this.call(name, WORDS.indexOf(word), ...operands) as number;
    return {
      load: call("load"),
      store: call("store"),
      compareExchange: call("compareExchange"),
      and: call("and"),
      or: call("or"),
      add: call("add"),
      notify: call("notify"),
      wait: (_, word, value, timeoutMs) => {
        this.setMark();
        const reason = this.call("wait", WORDS.indexOf(word), value, timeoutMs) as "timed-out";
        if (reason === "timed-out") this.nowMs += timeoutMs;
        return reason;
      },
    };
  }
}

/** What an Atomics function makes of a word. */
function change(name: string, old: number, [first, second]: readonly number[]): number {
  if (name === "store") return first;
  if (name === "compareExchange") return old === first ? second : old;
  if (name === "and") return old & first;
  if (name === "or") return old | first;
  if (name === "add") return old + first;
  return old;
}

/** A state: the words, then for each thread its node and status, then how often the overtaken one was. */
type State = number[];

export function explore(model: Model): Exploration {
  const { programs, timeouts = [], mortal = [], endsWaiting = false, overtaken, Lock = HeapLock } = model;
  const automata = programs.map((program, thread) => new Automaton(thread, program, Lock));
  const nodeAt = (thread: number): number => WORDS.length + 2 * thread;
  const counterAt = WORDS.length + 2 * programs.length;
  const threads = [...programs.keys()];
  const failures: string[] = [];
  let overtakenMax = 0;
  let gaveUp = 0;
  let repairs = 0;
  let ends = 0;

  const callOf = (state: State, thread: number): Call => automata[thread].nodes[state[nodeAt(thread)]].call;
  const statusOf = (state: State, thread: number): number => state[nodeAt(thread) + 1];
  const isLive = (state: State, thread: number): boolean => statusOf(state, thread) < DEAD;
  const isDone = (state: State, thread: number): boolean => callOf(state, thread).name === "done";

  function advance(state: State, thread: number, result: Result): State {
    const next = state.slice();
    next[nodeAt(thread)] = automata[thread].step(state[nodeAt(thread)], result);
    next[nodeAt(thread) + 1] = RUNNING;
    return next;
  }

  /** The state after a thread's next step; undefined if it cannot take one. */
  function stepOf(state: State, thread: number): State | undefined {
    const { name, word, operands } = callOf(state, thread);
    if (statusOf(state, thread) !== RUNNING || name === "done") return undefined;
    if (name === "awaitEnd") {
      const isDead = statusOf(state, word) === DEAD;
      if (!isDead && !isDone(state, word)) return undefined;
      const next = advance(state, thread, isDead ? 1 : 0);
      if (isDead) next[nodeAt(word) + 1] = REPORTED;
      return next;
    }
    if (name === "wait") {
      if (state[word] !== operands[0]) return advance(state, thread, "not-equal");
      const next = state.slice();
      next[nodeAt(thread) + 1] = ASLEEP;
      return next;
    }
    if (name === "notify") {
      let next = advance(state, thread, 0);
      for (const other of threads) if (statusOf(state, other) === ASLEEP) next = advance(next, other, "ok");
      return next;
    }
    if (name === "exclusive" || name === "shared" || name === "gaveUp") {
      const next = advance(state, thread, 0);
      if (name === "gaveUp") gaveUp++;
      else if (overtaken !== undefined && thread !== overtaken && hasTurn(state, overtaken))
        overtakenMax = Math.max(overtakenMax, ++next[counterAt]);
      return next;
    }
    const next = advance(state, thread, state[word]);
    next[word] = change(name, state[word], operands);
    if (word === DAMAGED && name === "store" && operands[0] === 0) repairs++;
    return next;
  }

  function waits(state: State, thread: number): boolean {
    return ((state[WRITERS] | state[READERS]) & (1 << thread)) !== 0;
  }

  function hasTurn(state: State, thread: number): boolean {
    return waits(state, thread) && (state[TURN] & (1 << thread)) !== 0;
  }

  function holds(state: State, thread: number): boolean {
    const lock = state[LOCK];
    return lock < 0 ? (lock & L.LOCK_THREAD_MASK) === thread : (lock & (1 << thread)) !== 0;
  }

  function check(state: State, steps: State[]): void {
    let writers = 0;
    let readers = 0;
    for (const thread of threads) {
      const { name } = callOf(state, thread);
      // A dead thread is in there until that is reported.
      if ((name !== "exclusive" && name !== "shared") || statusOf(state, thread) === REPORTED) continue;
      if (name === "exclusive") writers++;
      else readers++;
      if (state[DAMAGED] !== 0 && isLive(state, thread)) fail("somebody is in a damaged heap", state);
    }
    if (writers > 1 || (writers > 0 && readers > 0)) fail("a writer is not alone", state);
    if (steps.length > 0) return;
    ends++;
    if (threads.some((thread) => isLive(state, thread) && !isDone(state, thread)))
      fail("nobody can go on", state);
    else if (threads.every((thread) => statusOf(state, thread) !== DEAD))
      if (state[LOCK] !== 0 || state[WRITERS] !== 0 || state[READERS] !== 0)
        fail("the lock is not free at the end", state);
  }

  function fail(what: string, state: State): void {
    if (failures.length >= FAILURES_MAX) return;
    const path = stack.map((frame) => frame.state).concat([state]);
    const steps = path.map(
      (at) => `[${at.slice(0, WORDS.length)}] ${threads.map((t) => show(at, t)).join(" | ")}`,
    );
    failures.push(`${what}\n  ${steps.slice(-60).join("\n  ")}`);
  }

  function show(state: State, thread: number): string {
    const { name, word, operands } = callOf(state, thread);
    return `${name}(${[word, ...operands]})${["", " asleep", " dead", " reported"][statusOf(state, thread)]}`;
  }

  function successors(state: State): State[] {
    const steps: State[] = [];
    for (const thread of threads) {
      const next = stepOf(state, thread);
      if (next !== undefined) steps.push(next);
    }
    for (const thread of timeouts) {
      const { operands } = callOf(state, thread);
      if (statusOf(state, thread) === ASLEEP && Number.isFinite(operands[1]))
        steps.push(advance(state, thread, "timed-out"));
    }
    check(state, steps);
    if (mortal.length > 0 && threads.every((thread) => isLive(state, thread)))
      for (const thread of mortal)
        if (!isDone(state, thread) && (!endsWaiting || (waits(state, thread) && !holds(state, thread)))) {
          const next = state.slice();
          next[nodeAt(thread) + 1] = DEAD;
          steps.push(next);
        }
    return steps;
  }

  // Depth first; a state that leads to itself would let somebody go round for ever.
  const ON_PATH = 1;
  const LEFT = 2;
  const codes: number[] = [];
  const seen = new Map<string, number>();
  const stack: { state: State; key: string; steps: State[]; at: number }[] = [];
  const enter = (state: State): void => {
    for (let index = 0; index < state.length; index++) codes[index] = state[index];
    codes[LOCK] = state[LOCK] < 0 ? 0x8000 | state[LOCK] : state[LOCK];
    const key = String.fromCharCode.apply(null, codes);
    const mark = seen.get(key);
    if (mark === ON_PATH) fail("a loop: somebody may never get on", state);
    if (mark !== undefined || failures.length >= FAILURES_MAX) return;
    seen.set(key, ON_PATH);
    stack.push({ state, key, steps: [], at: 0 });
    stack[stack.length - 1].steps = successors(state);
  };
  enter([...WORDS.map(() => 0), ...threads.flatMap(() => [0, RUNNING]), 0]);
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    if (top.at < top.steps.length) enter(top.steps[top.at++]);
    else {
      seen.set(top.key, LEFT);
      stack.pop();
    }
  }
  return { states: seen.size, failures, overtakenMax, ends, gaveUp, repairs };
}
