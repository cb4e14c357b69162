/** The erasures there are. */

import { erasureState } from "./answers.js";
import type { CallOptions, ErasureState, ErasureStatus } from "./models.js";
import * as routes from "./routes.js";
import type { Service } from "./service.js";
import { stateOf } from "./states.js";

export interface ErasuresOptions extends CallOptions {
  /** Those of this status alone. */
  readonly status?: ErasureStatus | undefined;
  /** How many a request; 100 unless given. */
  readonly page?: number | undefined;
}

/** The erasures there are: `client.erasures`. */
export class Erasures {
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  /** How far an erasure has come. */
  get(erasureId: string, options: CallOptions = {}): Promise<ErasureState> {
    return stateOf(this.#service, erasureId, options);
  }

  /**
   * Erasures, newest first: all of them for the role `admin`, else those that the same key requested.
   */
  list(options: ErasuresOptions = {}): AsyncGenerator<ErasureState, void, undefined> {
    const query = { limit: String(options.page ?? 100), status: options.status };
    const request = { route: routes.ERASURES, query, signal: options.signal };
    return this.#service.pages(request, "erasures", erasureState);
  }
}
