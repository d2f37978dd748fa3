/** Threads as the main thread has them: started, asked, ended. */
import { once } from "node:events";
import { Worker } from "node:worker_threads";

export class Reader {
  #worker;

  /** @returns {Promise<Reader>} ready for its first task */
  static async start() {
    const reader = new Reader();
    reader.#worker = new Worker(new URL("./reader.mjs", import.meta.url));
    await once(reader.#worker, "message");
    return reader;
  }

  /**
   * Have it do a task of reader.mjs.
   * @throws what the task throws, and what keeps the message from being sent
   */
  async ask(task, message = {}) {
    const answer = once(this.#worker, "message");
    // An answer that never comes, because nothing was asked, is nobody's error.
    answer.catch(() => {});
    this.#worker.postMessage({ task, ...message });
    return (await answer)[0];
  }

  /** Have its end reported to a shared heap: a thread that fails under a guard then blocks nobody. */
  reportEndTo(heap) {
    heap.watch(this.#worker);
  }

  stop() {
    return this.#worker.terminate();
  }
}
