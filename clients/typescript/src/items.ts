/** What is said about items. */

import { item as itemOf } from "./answers.js";
import { idText, itemRow, said } from "./encode.js";
import type { EraseOptions } from "./asked.js";
import { Erasure } from "./erasure.js";
import type { CallOptions, Id, Item, ItemDescription, ItemPatch, Written } from "./models.js";
import * as routes from "./routes.js";
import { writeRows, type ManyOptions, type Source } from "./rows.js";
import { withJson, type Service } from "./service.js";

export interface ItemsOptions extends CallOptions {
  /** Those of which an expression in CEL is true. */
  readonly filter?: string | undefined;
  /** How many a request; 100 unless given. */
  readonly page?: number | undefined;
}

/** What is said about items: `client.items`. Of ids, `.` and `..` cannot be part of a URL. */
export class Items {
  readonly #service: Service;

  constructor(service: Service) {
    this.#service = service;
  }

  /** Says this about an item in place of all that was said before; in every list when it returns. */
  put(item: ItemDescription, options: CallOptions = {}): Promise<Item> {
    const request = withJson(routes.PUT_ITEM, said(item), options);
    return this.#service.object({ ...request, pathId: idText(item.id) }, itemOf);
  }

  /** Changes what is named: what is absent stays, `null` clears. */
  patch(item: Id, changes: ItemPatch, options: CallOptions = {}): Promise<Item> {
    const request = withJson(routes.PATCH_ITEM, said(changes), options);
    return this.#service.object({ ...request, pathId: idText(item) }, itemOf);
  }

  /** Leaves an item out of every list; what was learnt of it stays. */
  hide(item: Id, options: CallOptions = {}): Promise<Item> {
    return this.patch(item, { hidden: true }, options);
  }

  /** Lets an item that was hidden into the lists again. */
  show(item: Id, options: CallOptions = {}): Promise<Item> {
    return this.patch(item, { hidden: false }, options);
  }

  /** What is said about an item. */
  get(item: Id, { signal }: CallOptions = {}): Promise<Item> {
    return this.#service.object({ route: routes.GET_ITEM, pathId: idText(item), signal }, itemOf);
  }

  /** Erases every interaction with an item and what is said about it. */
  async delete(item: Id, options: EraseOptions = {}): Promise<Erasure> {
    const request = { route: routes.DELETE_ITEM, pathId: idText(item) };
    return await Erasure.request(this.#service, request, { items: [item] }, options);
  }

  /** All items, described or known by interactions, in the order of the bytes of their ids. */
  list(options: ItemsOptions = {}): AsyncGenerator<Item, void, undefined> {
    const query = { limit: String(options.page ?? 100), filter: options.filter };
    const request = { route: routes.ITEMS, query, signal: options.signal };
    return this.#service.pages(request, "items", itemOf);
  }

  /**
   * Says this about many items, each in place of all that was said before.
   *
   * Items that cannot be taken are named in the result, the others are taken. When a request fails for
   * good, `WriteInterrupted` says how far it came; to repeat all of it is harmless.
   */
  putMany(items: Source<ItemDescription>, options: ManyOptions = {}): Promise<Written> {
    const kind = { route: routes.PUT_ITEMS, row: itemRow, once: false };
    return writeRows(this.#service, kind, items, options);
  }
}
