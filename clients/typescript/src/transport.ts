/** Requests and answers over `fetch`. */

import { NoAnswerError, UnexpectedAnswer } from "./errors.js";
import type { CallOptions } from "./models.js";
import type { Route } from "./routes.js";

/** An HTTP request. */
export interface Request extends CallOptions {
  readonly route: Route;
  /** What stands for `{id}` in the path. */
  readonly pathId?: string | undefined;
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body?: string | undefined;
  /** That it must not be sent again when it is not known what became of it. */
  readonly once?: boolean | undefined;
  /** How long the service was asked to wait before it answers. */
  readonly waitMs?: number | undefined;
}

/** What the service answered. Its body must be read, or left by ending the iteration. */
export class Answer {
  constructor(
    readonly status: number,
    readonly headers: Headers,
    readonly chunks: AsyncIterable<Uint8Array>,
  ) {}

  /** The whole body. */
  async text(): Promise<string> {
    let whole = "";
    for await (const text of this.#texts()) {
      whole += text;
    }
    return whole;
  }

  /** The lines of the body as they come. A last one without its end was cut off. */
  async *lines(): AsyncGenerator<string, void, undefined> {
    let rest = "";
    for await (const text of this.#texts()) {
      const parts = (rest + text).split("\n");
      rest = parts.pop() ?? "";
      yield* parts;
    }
    if (rest !== "") {
      throw new UnexpectedAnswer("the answer broke off within a line");
    }
  }

  async *#texts(): AsyncGenerator<string, void, undefined> {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    const decode = (chunk?: Uint8Array): string => {
      try {
        return decoder.decode(chunk, { stream: chunk !== undefined });
      } catch {
        throw new UnexpectedAnswer("the answer is not UTF-8");
      }
    };
    for await (const chunk of this.chunks) {
      yield decode(chunk);
    }
    yield decode();
  }
}

/** Where the service is, and how it is reached. */
export interface TransportOptions {
  readonly apiKey?: string | undefined;
  readonly timeoutMs: number;
  readonly fetch: typeof fetch;
}

export class Transport {
  readonly #base: string;
  readonly #options: TransportOptions;

  constructor(url: string, options: TransportOptions) {
    this.#base = baseOf(url);
    this.#options = options;
  }

  /** Sends a request once. */
  async send(request: Request): Promise<Answer> {
    const url = this.#base + pathOf(request);
    const init = this.#init(request);
    const patience = new Patience(this.#options.timeoutMs, request);
    // As a function, for that of a browser refuses another `this`.
    const { fetch } = this.#options;
    try {
      const response = await fetch(url, { ...init, signal: patience.signal });
      return new Answer(response.status, response.headers, chunks(response, patience));
    } catch (error) {
      patience.end();
      throw patience.explain(error, isUnsent(error));
    }
  }

  #init(request: Request): RequestInit {
    const headers = new Headers(request.headers);
    if (this.#options.apiKey !== undefined) {
      headers.set("authorization", `Bearer ${this.#options.apiKey}`);
    }
    return {
      method: request.route.method,
      headers,
      body: request.body ?? null,
      credentials: "omit",
      // Neither a key nor what a body says goes to a place that the caller did not name.
      redirect: "manual",
    };
  }
}

/** The body piece by piece; each may take as long as the answer. */
async function* chunks(
  response: Response,
  patience: Patience,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  try {
    while (reader !== undefined) {
      patience.restart();
      const { done, value } = await reader.read();
      // Whoever reads may take their time.
      patience.end();
      if (done) {
        return;
      }
      yield value;
    }
  } catch (error) {
    throw patience.explain(error, false);
  } finally {
    patience.end();
    // Of a body that was read, or has failed, there is nothing left to leave.
    await reader?.cancel().catch(() => undefined);
  }
}

/** How long a request may take: each of its steps anew, and no longer than the caller wants it. */
class Patience {
  readonly signal: AbortSignal;
  readonly #over = new AbortController();
  readonly #request: Request;
  readonly #stepMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(timeoutMs: number, request: Request) {
    this.#request = request;
    this.#stepMs = timeoutMs + (request.waitMs ?? 0);
    const signals = [this.#over.signal, request.signal];
    this.signal = AbortSignal.any(signals.filter((signal) => signal !== undefined));
    this.restart();
  }

  restart(): void {
    this.end();
    this.#timer = setTimeout(() => this.#over.abort(), this.#stepMs);
  }

  end(): void {
    clearTimeout(this.#timer);
  }

  /** What an error of `fetch` means; nothing that was sent is in it. */
  explain(error: unknown, unsent: boolean): unknown {
    if (this.#request.signal?.aborted === true) {
      return this.#request.signal.reason;
    }
    const { method, path } = this.#request.route;
    const isOver = this.#over.signal.aborted;
    const why = isOver ? `nothing for ${this.#stepMs} ms` : (codeOf(error) ?? "no connection");
    return new NoAnswerError(`${method} ${path}: ${why}`, isOver || !unsent, { cause: error });
  }
}

/** Where all paths begin. */
function baseOf(url: string): string {
  const base = URL.canParse(url) ? new URL(url) : null;
  if (base === null || !["http:", "https:"].includes(base.protocol)) {
    throw new TypeError("the URL of the service must be one like http://127.0.0.1:8080");
  }
  return base.origin + base.pathname.replace(/\/+$/, "");
}

function pathOf(request: Request): string {
  const path = request.route.path.replace("{id}", () => segmentOf(request.pathId ?? ""));
  const given = Object.entries(request.query ?? {}).filter(([, value]) => value !== undefined);
  // `+` means a blank to some readers of a query; `%20` does to all.
  const query = given.map(([name, value]) => `${name}=${encodeURIComponent(value ?? "")}`);
  return query.length === 0 ? path : `${path}?${query.join("&")}`;
}

/** A text as one segment of a path. */
function segmentOf(text: string): string {
  if (text === "." || text === "..") {
    // However they are written, `fetch` takes them for this folder and the one above.
    throw new RangeError("the ids . and .. cannot be part of a URL");
  }
  return encodeURIComponent(text);
}

/** Codes, and calls of the system, of what can only go wrong before a request has left. */
const UNSENT = ["ECONNREFUSED", "UND_ERR_CONNECT_TIMEOUT", "connect", "getaddrinfo"];

/** What Node says of an error of `fetch`; browsers say nothing. */
interface Failure {
  readonly code?: string;
  readonly syscall?: string;
  readonly errors?: readonly Failure[];
}

function failureOf(error: unknown): Failure {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error ? (cause as Failure) : {};
}

function codeOf(error: unknown): string | undefined {
  return failureOf(error).code;
}

/** Whether it is certain that the request did not leave. */
function isUnsent(error: unknown): boolean {
  const failure = failureOf(error);
  // Several addresses were tried: none of them may have been reached.
  const all = failure.errors ?? [failure];
  return all.length > 0 && all.every(({ code, syscall }) => isOfConnecting(code, syscall));
}

function isOfConnecting(code: string | undefined, syscall: string | undefined): boolean {
  return UNSENT.includes(code ?? "") || UNSENT.includes(syscall ?? "");
}
