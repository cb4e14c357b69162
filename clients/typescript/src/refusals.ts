/** What an answer that is no success means. */

import * as errors from "./errors.js";
import { Problem, Unavailable, UnexpectedAnswer } from "./errors.js";
import { Fields } from "./fields.js";
import type { Answer } from "./transport.js";

const BY_CODE: ReadonlyMap<string, typeof Problem> = new Map([
  ["invalid_filter", errors.InvalidFilter],
  ["idempotency_key_reused", errors.IdempotencyKeyReused],
  ["item_not_found", errors.ItemNotFound],
  ["user_not_found", errors.UserNotFound],
  ["erasure_not_found", errors.ErasureNotFound],
  ["receipt_not_found", errors.ReceiptNotFound],
  ["route_not_found", errors.RouteNotFound],
  ["receipt_not_ready", errors.ReceiptNotReady],
  ["no_space", errors.NoSpace],
  ["log_full", errors.NoSpace],
]);

const BY_STATUS: ReadonlyMap<number, typeof Problem> = new Map([
  [401, errors.Unauthenticated],
  [403, errors.Forbidden],
  [404, errors.NotFound],
  [429, Unavailable],
  [502, Unavailable],
  [503, Unavailable],
  [504, Unavailable],
]);

/** The error of a problem, of the class that its code has, or else its status. */
function problem(details: errors.ProblemDetails): Problem {
  const general = details.status < 500 ? errors.InvalidRequest : errors.ServiceFailed;
  const Kind = BY_CODE.get(details.code) ?? BY_STATUS.get(details.status) ?? general;
  return new Kind(details);
}

export async function refusal(answer: Answer): Promise<errors.RecantError> {
  const text = await answer.text();
  if (!answer.headers.get("content-type")?.includes("problem+json")) {
    return foreign(answer);
  }
  const fields = Fields.ofJson(text);
  return problem({
    type: fields.someText("type") ?? "about:blank",
    title: fields.text("title"),
    status: answer.status,
    code: fields.text("code"),
    detail: fields.someText("detail") ?? "",
    ...headersOf(answer),
  });
}

/** An answer of something in between: a proxy that has no service behind it may have one later. */
function foreign(answer: Answer): errors.RecantError {
  const { status } = answer;
  if (BY_STATUS.get(status) !== Unavailable) {
    return new UnexpectedAnswer(`an answer of status ${status} that is none of the service's`);
  }
  const detail = "something in between answered, not the service";
  return new Unavailable({
    type: "about:blank",
    title: "",
    status,
    code: "",
    detail,
    ...headersOf(answer),
  });
}

function headersOf(answer: Answer): { retryAfterMs: number | null; requestId: string | null } {
  const seconds = answer.headers.get("retry-after") ?? "";
  return {
    retryAfterMs: /^\d+$/.test(seconds) ? Number(seconds) * 1000 : null,
    requestId: answer.headers.get("x-request-id"),
  };
}
