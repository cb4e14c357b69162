/** Which requests are sent again, and when. */

import { NoAnswerError, Unavailable } from "./errors.js";
import type { Request } from "./transport.js";

/**
 * How often a request is sent when the service is busy or cannot be reached, and how far apart.
 *
 * The pauses double from the first to the longest, each shortened by chance by up to a half, so that many
 * clients do not come back at one moment. A pause that the service asks for (`Retry-After`) is kept,
 * unless it is longer than the patience: then the error is thrown at once.
 */
export interface Retries {
  /** 5 unless given. */
  readonly attempts: number;
  /** 100 ms unless given. */
  readonly firstPauseMs: number;
  /** 5 s unless given. */
  readonly longestPauseMs: number;
  /** 30 s unless given. */
  readonly patienceMs: number;
}

const DEFAULTS: Retries = {
  attempts: 5,
  firstPauseMs: 100,
  longestPauseMs: 5_000,
  patienceMs: 30_000,
};

/** Codes of refusals after which it is certain that nothing was done. */
const NOTHING_DONE = ["overloaded", "starting", "stopping", "no_leader", "not_current"];

export function retriesOf(given: Partial<Retries>): Retries {
  const retries = { ...DEFAULTS, ...given };
  if (!(retries.attempts >= 1)) {
    throw new RangeError("retries.attempts must be at least 1");
  }
  return retries;
}

/** How long to wait before the next attempt; `null` when the error is final. */
export function pauseAfter(
  retries: Retries,
  request: Request,
  attempt: number,
  error: unknown,
): number | null {
  if (attempt >= retries.attempts || !mayRepeat(request, error)) {
    return null;
  }
  const asked = error instanceof Unavailable ? (error.retryAfterMs ?? 0) : 0;
  const pause = Math.max(asked, ownPause(retries, attempt));
  return pause > Math.max(retries.patienceMs, retries.longestPauseMs) ? null : pause;
}

function ownPause(retries: Retries, attempt: number): number {
  const longest = Math.min(retries.longestPauseMs, retries.firstPauseMs * 2 ** (attempt - 1));
  return longest * (0.5 + Math.random() / 2);
}

/** Whether a request may be sent again, and whether that may help. */
function mayRepeat(request: Request, error: unknown): boolean {
  if (error instanceof NoAnswerError) {
    return request.once !== true || !error.sent;
  }
  if (error instanceof Unavailable) {
    const isNothingDone = error.status === 429 || NOTHING_DONE.includes(error.code);
    return error.code !== "worker_stopped" && (request.once !== true || isNothingDone);
  }
  return false;
}
