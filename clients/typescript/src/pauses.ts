/** Waiting. */

/** Waits; ends with the reason of `signal` when it is aborted. */
export function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted === true) {
      abort();
    }
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Pauses between two looks: a hundredth of a second at first, a second at last. */
export function* pausesBetweenLooks(): Generator<number, never, undefined> {
  for (let milliseconds = 10; ; milliseconds = Math.min(1000, milliseconds * 1.5)) {
    yield milliseconds;
  }
}
