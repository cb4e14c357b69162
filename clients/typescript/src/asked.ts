/** How an erasure is asked for. Asking again is the same erasure, and a way to wait for it. */

import { erasureStatus } from "./answers.js";
import type { CallOptions, Names } from "./models.js";
import type { Service } from "./service.js";
import type { Request } from "./transport.js";

/** The longest wait that the service grants, in seconds. */
const WAIT_MAX = 60;
/** A repeated request is the same erasure as long as the service remembers its key, which is a day. */
const REPEATED_FOR_MS = 60 * 60 * 1000;

export interface EraseOptions extends CallOptions {
  /** How long the answer may wait for the live model to forget, in whole seconds of up to 60. */
  readonly waitMs?: number | undefined;
  /**
   * The same key again, within a day, means the same erasure. Without one, a fresh one is used for all
   * attempts of this call.
   */
  readonly idempotencyKey?: string | undefined;
}

export class Asked {
  readonly names: Names;
  readonly idempotencyKey: string;
  readonly #request: Request;
  readonly #at = performance.now();

  constructor(request: Request, names: Names, idempotencyKey: string) {
    // The caller may go on with the lists that were given; the receipt is about what was sent.
    this.names = structuredClone(names);
    this.idempotencyKey = idempotencyKey;
    const headers = { ...request.headers, "idempotency-key": idempotencyKey };
    this.#request = { ...request, headers };
  }

  /** The request, to be answered when the model has forgotten or after whole seconds. */
  request(waitMs: number, { signal }: CallOptions): Request {
    const request = { ...this.#request, signal };
    const seconds = Math.min(WAIT_MAX, Math.floor(waitMs / 1000));
    if (!(seconds >= 1)) {
      return request;
    }
    const headers = { ...request.headers, prefer: `wait=${seconds}` };
    return { ...request, headers, waitMs: seconds * 1000 };
  }

  /** Has the service wait until the model has forgotten, or the time is over, or its patience is. */
  async untilForgotten(service: Service, deadline: number, options: CallOptions): Promise<void> {
    while (performance.now() - this.#at < REPEATED_FOR_MS) {
      const began = performance.now();
      const request = this.request(deadline - began, options);
      if (request.waitMs === undefined) {
        return;
      }
      const status = await service.object(request, erasureStatus);
      const hasWaited = performance.now() - began >= request.waitMs;
      if (!hasWaited || status === "forgotten" || status === "certified") {
        return;
      }
    }
  }
}
