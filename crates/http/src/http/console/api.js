/** Calls of this server: the key they carry, and what becomes of their errors. */

/** Where a key is kept when the person says so; it ends with the tab. */
const KEPT = "recant-key";

/** How long an answer may take before the server counts as gone. */
const PATIENCE = 30_000;

/** The server answered, and not with what was asked for. */
export class Refused extends Error {
  constructor(status, problem, { isAboutKeys, needs, retryAfter }) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.status = status;
    /** What kind of problem it is, for programs. */
    this.code = problem.code;
    /** Whether another key could help. */
    this.isAboutKeys = isAboutKeys;
    this.title = problem.title ?? `The server answered ${status}`;
    /** The role that the call needs, of an answer 401 or 403. */
    this.needs = needs;
    /** Seconds after which to ask again, if the server says so. */
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may be taken later. */
  get passes() {
    return this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** There was no answer. */
export class Unreachable extends Error {
  constructor() {
    super("The server does not answer. What is shown is from before.");
    this.title = "No answer";
    this.passes = true;
  }
}

/** Tells who listens: `answer` after every answer, `silence` when there was none, `key` after a change of the key. */
export const events = new EventTarget();

let key = readKept();

function readKept() {
  try {
    return sessionStorage.getItem(KEPT) ?? "";
  } catch {
    return "";
  }
}

/** Whether there is a key to send. */
export function hasKey() {
  return key !== "";
}

/** Whether the key is kept for this tab. */
export function isKept() {
  return readKept() !== "";
}

/** Takes another key, or none, and keeps it for this tab only when told so. */
export function takeKey(text, keep) {
  key = text.trim();
  try {
    if (keep && key !== "") {
      sessionStorage.setItem(KEPT, key);
    } else {
      sessionStorage.removeItem(KEPT);
    }
  } catch {
    // A browser that stores nothing keeps it in memory.
  }
  events.dispatchEvent(new Event("key"));
}

/**
 * Makes a call and gives back its `Response`, which is a good one.
 * `needs` is the role that it takes, for whoever has no key yet; an anonymous call goes without the key.
 */
export async function call(
  path,
  { method = "GET", body, headers = {}, needs, isAnonymous = false } = {},
) {
  const all = new Headers(headers);
  if (key !== "" && !isAnonymous) {
    all.set("authorization", `Bearer ${key}`);
  }
  if (body !== undefined) {
    all.set("content-type", "application/json");
  }
  const response = await reach(path, {
    method,
    headers: all,
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  if (!response.ok) {
    throw await refusal(response, needs);
  }
  return response;
}

/** Makes a call that is answered with JSON. */
export async function ask(path, options) {
  return read(await call(path, options), (response) => response.json());
}

/** Makes a call that is answered with a text. */
export async function askText(path, options) {
  return read(await call(path, options), (response) => response.text());
}

/** An answer may break off after its head. */
async function read(response, take) {
  try {
    return await take(response);
  } catch {
    throw silence();
  }
}

async function reach(path, options) {
  try {
    const response = await fetch(path, {
      ...options,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    events.dispatchEvent(new Event("answer"));
    return response;
  } catch (error) {
    // A header that cannot be sent is no silence of the server's.
    if (error instanceof TypeError || error instanceof DOMException) {
      throw silence();
    }
    throw error;
  }
}

function silence() {
  events.dispatchEvent(new Event("silence"));
  return new Unreachable();
}

async function refusal(response, needs) {
  const problem = await response.json().catch(() => ({}));
  const scope = /scope="(\w+)"/.exec(response.headers.get("www-authenticate") ?? "")?.[1];
  const isAboutKeys = response.status === 401 || (response.status === 403 && scope !== undefined);
  const retryAfter = Number(response.headers.get("retry-after")) || undefined;
  return new Refused(response.status, problem, {
    isAboutKeys,
    needs: isAboutKeys ? (scope ?? needs) : undefined,
    retryAfter,
  });
}
