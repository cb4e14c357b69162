/** How every call is made. */

import { jsonText } from "./encode.js";
import { Fields } from "./fields.js";
import type { CallOptions } from "./models.js";
import { pause } from "./pauses.js";
import { refusal } from "./refusals.js";
import { pauseAfter, type Retries } from "./retries.js";
import type { Route } from "./routes.js";
import type { Answer, Request, Transport } from "./transport.js";

/** Most users, items, interactions or names that one request may hold. */
const REQUEST_ROWS_MAX = 10_000;

/** The service as the calls see it: requests are sent again where that is safe and may help. */
export class Service {
  readonly #transport: Transport;
  readonly #retries: Retries;

  constructor(transport: Transport, retries: Retries) {
    this.#transport = transport;
    this.#retries = retries;
  }

  /** Sends a request, and reads the answer. */
  async ask<T>(request: Request, read: (answer: Answer) => Promise<T> | T): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.askOnce(request, read);
      } catch (error) {
        const milliseconds = pauseAfter(this.#retries, request, attempt, error);
        if (milliseconds === null) {
          throw error;
        }
        await pause(milliseconds, request.signal);
      }
    }
  }

  /** As `ask`, with one attempt. */
  async askOnce<T>(request: Request, read: (answer: Answer) => Promise<T> | T): Promise<T> {
    const answer = await this.#transport.send(request);
    if (answer.status < 200 || answer.status >= 300) {
      throw await refusal(answer);
    }
    return await read(answer);
  }

  /** Sends a request whose answer is one object. */
  object<T>(request: Request, read: (fields: Fields) => T): Promise<T> {
    return this.ask(request, async (answer) => read(Fields.ofJson(await answer.text())));
  }

  /** What is on all pages, from the first on. */
  async *pages<T>(
    request: Request,
    name: string,
    read: (fields: Fields) => T,
  ): AsyncGenerator<T, void, undefined> {
    let cursor: string | undefined;
    do {
      const asked = { ...request, query: { ...request.query, cursor } };
      const page = await this.object(asked, (fields) => fields);
      yield* page.many(name, read);
      cursor = page.someText("next_cursor") ?? undefined;
    } while (cursor !== undefined);
  }
}

/** A request with a body of JSON. */
export function withJson(route: Route, body: object, { signal }: CallOptions): Request {
  const headers = { "content-type": "application/json" };
  return { route, headers, body: jsonText(body), signal };
}

/** Refuses a number of rows a request that the service would. */
export function checkBatch(batch: number): void {
  if (!(batch >= 1 && batch <= REQUEST_ROWS_MAX)) {
    throw new RangeError(`batch must be from 1 to ${REQUEST_ROWS_MAX}`);
  }
}
