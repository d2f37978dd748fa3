/**
 * Real threads on one heap: workers that read and write at random come and go in every way there is. Run by share.test.ts for a short
 * while and by scripts/stress-threads.mjs for a long one.
 */
import { setTimeout as pause } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import {
  Heap,
  type HeapRepair,
  id,
  LockTimeoutError,
  type Parcel,
  refcount,
  release,
  typeName,
} from "../../src/index.js";
import { verify } from "../../src/inspect/index.js";
import { forEachParcel } from "../../src/object/parcels.js";
import * as world from "./world.js";

export interface StressOptions {
  /** The bundled stress-worker.ts. */
  readonly program: string;
  readonly minutes: number;
  readonly kills: number;
  readonly seed?: number;
  readonly workers?: number;
  readonly say?: (line: string) => void;
}

interface Thread {
  readonly serial: number;
  readonly name: string;
  readonly worker: Worker;
  readonly exit: Promise<void>;
  /** Settles with the first message of a kind: "started", "holding", "left". */
  readonly heard: Map<string, () => void>;
  isStarted: boolean;
  hasLeft: boolean;
}

/** The parent of it all. */
export class Stress {
  readonly heap: Heap;
  readonly ledger = new Int32Array(new SharedArrayBuffer(4 * world.LEDGER_WORDS));
  readonly repairs: HeapRepair[] = [];
  readonly failures: string[] = [];
  readonly ends = { left: 0, exited: 0, terminated: 0, blocking: 0, timedOut: 0 };
  readonly bytesAtStart: number;
  verifications = 0;
  private readonly mischief: world.Mischief;
  private readonly options: Required<StressOptions>;
  private readonly threads = new Set<Thread>();
  private readonly token;
  private readonly inbox: Parcel[] = [];
  private readonly sent: Parcel[] = [];
  /** Numbers of parcels that this thread has sent or heard of. */
  private readonly seen = new Set<number>();
  /** Serials of the threads that gave up all they had. */
  private readonly left = new Set([0]);
  private serial = 0;

  constructor(options: StressOptions) {
    this.options = { seed: 1, workers: 3, say: () => {}, ...options };
    this.heap = Heap.create({ checks: "handles", maximumBytes: 64 << 20 });
    const { heap } = this;
    heap.onRepair = (repair) => {
      this.repairs.push(repair);
      Atomics.add(this.ledger, world.REPAIRS, 1);
    };
    heap.onUnraisable = (error, where) => this.fail(`${where}: ${error}`);
    heap.onLeakedHandle = ({ typeName, madeAt }) => this.fail(`a handle to a ${typeName}, made at ${madeAt}`);
    const root = heap.new(world.Root, {});
    this.token = heap.share({ types: world.TYPES });
    const guard = heap.lock();
    this.bytesAtStart = heap.bytesUsed;
    this.mischief = new world.Mischief(heap, root, this.ledger, 0);
    guard[Symbol.dispose]();
  }

  fail(text: string): void {
    this.failures.push(text);
    this.options.say(`FAILED: ${text}`);
  }

  private random(below: number): number {
    return this.mischief.random(below);
  }

  // -- workers --------------------------------------------------------------------------------

  async start(writeShare = 50): Promise<Thread> {
    const { heap } = this;
    const serial = ++this.serial;
    const name = `worker ${serial}`;
    const parcel = await this.under(() => this.send(() => heap.send(this.mischief.root)));
    const worker = new Worker(this.options.program, {
      workerData: {
        token: this.token,
        ledger: this.ledger.buffer as SharedArrayBuffer,
        serial,
        name,
        parcel,
        checks: serial % 2 === 0 ? "off" : "handles",
        writeShare,
      } satisfies world.WorkerTask,
    });
    heap.watch(worker);
    const exit = new Promise<void>((resolve) => void worker.once("exit", () => resolve()));
    const thread: Thread = {
      serial,
      name,
      worker,
      exit,
      heard: new Map(),
      isStarted: false,
      hasLeft: false,
    };
    worker.on("error", (error) => this.fail(`${name}: ${(error as Error).stack}`));
    worker.on("message", (message: Record<string, unknown>) => {
      if ("parcel" in message) this.inbox.push(this.note(message as unknown as Parcel));
      if ("started" in message) thread.isStarted = true;
      if ("left" in message) {
        thread.hasLeft = true;
        this.left.add(serial);
        if (message.leaks !== 0) this.fail(`${name} had ${message.leaks} handles left`);
      }
      for (const [kind, resolve] of thread.heard) if (kind in message) resolve();
    });
    this.threads.add(thread);
    void exit.then(() => this.threads.delete(thread));
    return thread;
  }

  hear(thread: Thread, kind: string): Promise<void> {
    if (kind === "started" && thread.isStarted) return Promise.resolve();
    return Promise.race([thread.exit, new Promise<void>((resolve) => void thread.heard.set(kind, resolve))]);
  }

  private send(make: () => Parcel): Parcel {
    const parcel = this.note(make());
    this.sent.push(parcel);
    Atomics.add(this.ledger, world.PARCELS_SENT, 1);
    return parcel;
  }

  private note(parcel: Parcel): Parcel {
    this.seen.add(parcel.parcel);
    return parcel;
  }

  /** Never blocks: who blocks hears no thread end. */
  async under<R>(body: () => R): Promise<R> {
    const guard = await this.heap.lockAsync();
    try {
      return body();
    } finally {
      guard[Symbol.dispose]();
    }
  }

  async check(when: string): Promise<void> {
    await this.under(() => {
      try {
        verify(this.heap);
      } catch (error) {
        this.fail(`${when}: ${(error as Error).message}`);
        throw error;
      }
      this.verifications++;
    });
  }

  // -- kills ----------------------------------------------------------------------------------

  /** Terminate workers at random moments, and look at the heap after each. */
  async kill(kills: number): Promise<void> {
    const { workers, say } = this.options;
    for (let kill = 0; kill < kills; kill++) {
      while (this.threads.size < workers) await this.start(80);
      const living = [...this.threads];
      const victim = living[this.random(living.length)];
      // Some die while they attach.
      if (this.random(8) > 0) await this.hear(victim, "started");
      await pause(this.random(20));
      if (kill % 5 === 1) await this.killBlocking(victim, true);
      else if (kill % 5 === 3) await this.killBlocking(victim, false);
      else await victim.worker.terminate();
      await victim.exit;
      this.ends.terminated++;
      await this.check(`after kill ${kill}`);
      this.takeParcels(await this.heap.lockAsync());
      if ((kill + 1) % 100 === 0) say(`${kill + 1} kills, ${this.ledger[world.REPAIRS]} repairs`);
    }
  }

  /** The parent waits for the lock while the worker dies, and cannot hear of it. @param holds the worker has the lock, and keeps it */
  async killBlocking(victim: Thread, holds: boolean): Promise<LockTimeoutError | undefined> {
    const { heap, ends } = this;
    await this.hear(victim, "started");
    if (holds) {
      const holding = this.hear(victim, "holding");
      victim.worker.postMessage({ end: "hold" });
      await holding;
    }
    void victim.worker.terminate();
    ends.blocking++;
    let timeout: LockTimeoutError | undefined;
    try {
      heap.lock({ timeout: 15 })[Symbol.dispose]();
      if (holds) this.fail(`the lock was to be had while ${victim.name} held it`);
    } catch (error) {
      if (!(error instanceof LockTimeoutError)) throw error;
      timeout = error;
      ends.timedOut++;
      if (holds && !error.message.includes(`"${victim.name}"`))
        this.fail(`not ${victim.name} is named by: ${error.message}`);
    }
    await victim.exit;
    return timeout;
  }

  // -- mixed ----------------------------------------------------------------------------------

  async mix(minutes: number): Promise<void> {
    const { workers, say } = this.options;
    const end = performance.now() + minutes * 60_000;
    let nextEnd = 0;
    let nextCheck = 0;
    let nextWord = performance.now() + 30_000;
    while (performance.now() < end) {
      while (this.threads.size < workers) await this.start();
      await this.takeTurn();
      const now = performance.now();
      if (now > nextEnd) {
        nextEnd = now + 200 + this.random(600);
        void this.endOne();
      }
      if (now > nextCheck) {
        nextCheck = now + 1000;
        await this.check("while all goes on");
      }
      if (now > nextWord) {
        nextWord = now + 30_000;
        say(this.summary());
      }
      await pause(this.random(5));
    }
  }

  private async takeTurn(): Promise<void> {
    const { heap, mischief } = this;
    const guard = await (this.random(2) ? heap.lockAsync() : heap.lockSharedAsync());
    if (guard.mode === "shared") {
      mischief.read();
      guard[Symbol.dispose]();
      return;
    }
    mischief.write(20);
    const node = mischief.held.at(-1);
    const living = [...this.threads].filter(({ isStarted }) => isStarted);
    if (node !== undefined && living.length > 0)
      living[this.random(living.length)].worker.postMessage(this.send(() => heap.send(node)));
    this.takeParcels(guard);
  }

  private takeParcels(guard: Disposable): void {
    for (const parcel of this.inbox.splice(0)) {
      release(this.heap.receive(world.Node, parcel));
      Atomics.add(this.ledger, world.PARCELS_RECEIVED, 1);
    }
    guard[Symbol.dispose]();
  }

  private async endOne(): Promise<void> {
    const living = [...this.threads].filter(({ isStarted }) => isStarted);
    const thread = living[this.random(living.length)];
    if (thread === undefined) return;
    const how = this.random(3);
    if (how === 0) await this.leave(thread);
    else if (how === 1) {
      thread.worker.postMessage({ end: "exit" });
      await thread.exit;
      this.ends.exited++;
    } else {
      await thread.worker.terminate();
      this.ends.terminated++;
    }
  }

  private async leave(thread: Thread): Promise<void> {
    thread.worker.postMessage({ end: "leave" });
    await thread.exit;
    if (thread.hasLeft) this.ends.left++;
  }

  // -- the end --------------------------------------------------------------------------------

  /** Give up everything, and look for what is left. */
  async finish(): Promise<void> {
    const { heap, mischief } = this;
    await Promise.all(
      [...this.threads].map(async (thread) => {
        await this.hear(thread, "started");
        await this.leave(thread);
      }),
    );
    await this.check("when the workers are gone");
    await this.under(() => this.claimAll());
    await this.under(() => {
      const { nodes, byName, members, tags, mixed } = mischief.root;
      for (const container of [nodes, byName, members, tags, mixed]) container.clear();
      mischief.giveUp();
      heap.gc.collect();
      heap.gc.collect();
    });
    await this.check("at the end");
    await this.under(() => this.look());
    heap[Symbol.dispose]();
    this.lookAtValues();
  }

  /** Parcels whose receiver, or whose message, has ended on its way: the table has them, whoever has heard of them. */
  private claimAll(): void {
    const { heap } = this;
    const numbers: number[] = [];
    forEachParcel(Heap.contextOf(heap).core.memory.i32, (_object, _site, parcel) => numbers.push(parcel));
    const unseen = numbers.filter((parcel) => !this.seen.has(parcel)).length;
    this.options.say(`${numbers.length} parcels on their way for ever, ${unseen} of them without a message`);
    for (const parcel of numbers) this.claim(parcel);
  }

  private claim(parcel: number): void {
    for (const type of [world.Node, world.Root])
      try {
        release(this.heap.receive(type, { ...this.sent[0], parcel }));
        return;
      } catch (error) {
        if ((error as { code?: string }).code !== "TYPE_MISMATCH") throw error;
      }
    this.fail(`parcel ${parcel} carries neither of the two types that are sent`);
  }

  private look(): void {
    const { heap } = this;
    const alive = heap.gc.getObjects();
    if (alive.length > 0) {
      const first = alive
        .slice(0, 8)
        .map((object) => `${typeName(object)} ${id(object)}, ${refcount(object)} references`);
      const { threads } = Heap.contextOf(heap).sharing!;
      const states = Array.from({ length: threads.numbersEnd }, (_, thread) => threads.state(thread));
      this.fail(
        `${alive.length} objects are alive: ${first.join("; ")}; states of the threads: ${states.join(" ")}`,
      );
    }
    if (heap.adoptedCount !== 0) this.fail(`${heap.adoptedCount} values are adopted`);
    if (heap.adoptedBytes !== 0) this.fail(`${heap.adoptedBytes} bytes are adopted`);
    const more = heap.bytesUsed - this.bytesAtStart;
    this.options.say(`${this.bytesAtStart} bytes used at the start, ${more} more at the end`);
    if (more > 512 << 10) this.fail(`${more} bytes more are used than at the start`);
  }

  /** Each value of a thread that gave up all it had was disposed once, of others once at most. */
  private lookAtValues(): void {
    const made = Math.min(this.ledger[world.NEXT_VALUE], world.VALUES_MAX);
    let lost = 0;
    for (let id = 0; id < made; id++) {
      const word = this.ledger[world.VALUES + id];
      const count = world.disposalsOf(word);
      if (count > 1) this.fail(`value ${id} of thread ${world.ownerOf(word)} was disposed ${count} times`);
      if (count === 0 && this.left.has(world.ownerOf(word)))
        this.fail(`value ${id} of thread ${world.ownerOf(word)} was never disposed`);
      if (count === 0) lost++;
    }
    if (this.ledger[world.FAILURES] > 0) this.fail(`${this.ledger[world.FAILURES]} failures in threads`);
    this.options.say(`${made} values adopted, ${lost} lost with their threads`);
  }

  summary(): string {
    const words = this.ledger;
    const { left, exited, terminated, blocking, timedOut } = this.ends;
    return (
      `${words[world.WRITES]} writes, ${words[world.READS]} readings, ${words[world.COLLECTIONS]} explicit collections, ` +
      `${words[world.NEXT_VALUE]} values adopted and ${words[world.DISPOSED]} disposed, ${words[world.FINALIZED]} finalizers, ` +
      `${words[world.CALLBACKS]} callbacks, ${words[world.PARCELS_SENT]} parcels sent; ${this.serial} workers: ${left} left, ${exited} exited, ` +
      `${terminated} terminated, ${blocking} of them while the parent waited for the lock (${timedOut} time-outs); ${words[world.REPAIRS]} repairs, ` +
      `${this.verifications} verifications, ${this.failures.length} failures`
    );
  }
}
