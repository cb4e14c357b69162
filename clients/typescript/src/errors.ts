/**
 * What can go wrong with the service and on the way to it. What is wrong before anything is sent is a
 * `RangeError` or a `TypeError`.
 */

import type { ErasureState, Written } from "./models.js";

/** The root of all errors of this package. */
export class RecantError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/**
 * The service could not be reached, or the connection ended before the answer did.
 *
 * `sent` says whether the request may have reached the service, which may then have carried it out.
 */
export class NoAnswerError extends RecantError {
  constructor(
    message: string,
    readonly sent: boolean,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The answer is not one that a recant service gives: check the URL and what is in between. */
export class UnexpectedAnswer extends RecantError {}

/** Problem details (RFC 9457), and what the headers of the answer add. */
export interface ProblemDetails {
  /** A URN made of the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** Stable; what kind of problem it is. */
  readonly code: string;
  /** How to mend the request; never repeats what was sent. */
  readonly detail: string;
  /** After how many milliseconds the service asks to be tried again. */
  readonly retryAfterMs: number | null;
  /** What finds this request in the log of the service. */
  readonly requestId: string | null;
}

/** The service refused. The class says what to do about it, so that nobody need know every code. */
export class Problem extends RecantError implements ProblemDetails {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly retryAfterMs: number | null;
  readonly requestId: string | null;

  constructor(details: ProblemDetails) {
    super(`${details.status} ${details.code}: ${details.detail || details.title}`);
    this.type = details.type;
    this.title = details.title;
    this.status = details.status;
    this.code = details.code;
    this.detail = details.detail;
    this.retryAfterMs = details.retryAfterMs;
    this.requestId = details.requestId;
  }
}

/** The request is wrong: repeating it as it is will not help. */
export class InvalidRequest extends Problem {}

/** The expression of `filter` is wrong; the detail has line and column. */
export class InvalidFilter extends InvalidRequest {}

/** The idempotency key belongs to another request. */
export class IdempotencyKeyReused extends InvalidRequest {}

/** The call needs an API key. */
export class Unauthenticated extends Problem {}

/** The API key lacks the role for this call, or there are no keys and the caller is not local. */
export class Forbidden extends Problem {}

/** There is no such thing. */
export class NotFound extends Problem {}

/** The item is not known. */
export class ItemNotFound extends NotFound {}

/** Nothing is held of the user. */
export class UserNotFound extends NotFound {}

/** There is no such erasure, or another key requested it. */
export class ErasureNotFound extends NotFound {}

/** The erasure was certified before receipts were signed. */
export class ReceiptNotFound extends NotFound {}

/** The service does not have this call: it is older than this client, or the URL is wrong. */
export class RouteNotFound extends NotFound {}

/** The erasure is not certified yet. */
export class ReceiptNotReady extends Problem {}

/**
 * Not now: the service is busy, starting or stopping, or the key has sent more than it may. Thrown when
 * retries did not help.
 */
export class Unavailable extends Problem {}

/** The service failed; its log says more, under the request id. */
export class ServiceFailed extends Problem {}

/** The disk of the service is full, or the log that its nodes share. */
export class NoSpace extends ServiceFailed {}

/** Rows were not taken; `written` says which and why. The others were. */
export class RowsRejected extends RecantError {
  constructor(readonly written: Written) {
    const [first] = written.rejected;
    super(`${written.rejected.length} rows were not taken; row ${first?.index}: ${first?.reason}`);
  }
}

/**
 * A stream of rows came to a stop: `written` is what became of the rows before.
 *
 * The cause says why. Of the batch under way, `unknown` rows may have been taken or not.
 */
export class WriteInterrupted extends RecantError {
  constructor(
    readonly written: Written,
    readonly unknown: number,
    options: ErrorOptions,
  ) {
    const rows = written.accepted + written.heldBack + written.rejected.length;
    const message = `stopped after ${rows} rows; ${unknown} more were under way`;
    super(`${message} and may have been taken`, options);
  }
}

/** The erasure did not come so far in time. It goes on; `state` is the last that was seen. */
export class WaitTimeout extends RecantError {
  constructor(
    wanted: string,
    readonly state: ErasureState,
  ) {
    const why = state.failure === null ? "" : `: ${state.failure}`;
    super(`the erasure is ${state.status}, not ${wanted} yet${why}`);
  }
}

/** A receipt does not hold. The message says why, and repeats nothing of it. */
export class ReceiptError extends RecantError {}
