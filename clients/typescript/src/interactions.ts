/** What people did. */

import { written as writtenOf } from "./answers.js";
import { interactionRow } from "./encode.js";
import { RowsRejected } from "./errors.js";
import type { CallOptions, Interaction, Written } from "./models.js";
import * as routes from "./routes.js";
import { writeRows, type ManyOptions, type Source } from "./rows.js";
import { withJson, type Service } from "./service.js";

/** What people did: `client.interactions`. */
export class Interactions {
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  /**
   * Adds one interaction: durable when it returns, learnt in the background. `RowsRejected` when the
   * service does not take it.
   */
  async add(interaction: Interaction, options: CallOptions = {}): Promise<Written> {
    const body = { interactions: [interactionRow(interaction)] };
    const request = { ...withJson(routes.ADD, body, options), once: true };
    const written = await this.#service.object(request, writtenOf);
    if (written.rejected.length > 0) {
      throw new RowsRejected(written);
    }
    return written;
  }

  /**
   * Adds many interactions: durable when it returns.
   *
   * Rows that cannot be taken are named in the result, the others are taken. A request of which it is not
   * known what became of it is not repeated, for an event may count twice: then `WriteInterrupted` says
   * how far it came.
   */
  addMany(interactions: Source<Interaction>, options: ManyOptions = {}): Promise<Written> {
    const kind = { route: routes.ADD, row: interactionRow, once: true };
    return writeRows(this.#service, kind, interactions, options);
  }
}
