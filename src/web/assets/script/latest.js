// Only the latest task counts: typing starts many, and an early answer must not replace a later one.

export class Latest {
  #controller = new AbortController();

  /**
   * Runs `task(signal)` after `delay` milliseconds and cancels the one before it, waiting or running. Resolves without
   * an error when it is itself cancelled.
   */
  async run(task, delay = 0) {
    this.cancel();
    const { signal } = (this.#controller = new AbortController());
    try {
      if (delay > 0) await pause(delay, signal);
      signal.throwIfAborted();
      await task(signal);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  cancel() {
    this.#controller.abort();
  }
}

function pause(delay, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delay);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
