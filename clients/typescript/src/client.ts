/** The client. */

import {
  exportedRow,
  model as modelOf,
  properties as propertiesOf,
  user as userOf,
} from "./answers.js";
import type { EraseOptions } from "./asked.js";
import { idText, names as namesOf } from "./encode.js";
import { Erasure, type WaitOptions } from "./erasure.js";
import { Erasures } from "./erasures.js";
import type { JsonObject } from "./fields.js";
import { Interactions } from "./interactions.js";
import { Items } from "./items.js";
import {
  list,
  recommend,
  recommendMany,
  similar,
  type ListOptions,
  type RecommendManyOptions,
  type RecommendOptions,
  type SimilarOptions,
  type TrendingOptions,
} from "./lists.js";
import type {
  CallOptions,
  ExportedRow,
  Health,
  Id,
  ItemList,
  Model,
  Names,
  Pair,
  Properties,
  Recommendations,
  SimilarItems,
  User,
} from "./models.js";
import { health, waitUntilReady } from "./operations.js";
import type { KeySet } from "./receipts.js";
import { retriesOf, type Retries } from "./retries.js";
import * as routes from "./routes.js";
import type { Source } from "./rows.js";
import { Service, withJson } from "./service.js";
import { keys, receiptText } from "./states.js";
import { Transport } from "./transport.js";

export interface UsersOptions extends CallOptions {
  /** How many a request; 100 unless given. */
  readonly page?: number | undefined;
}

export interface ClientOptions {
  /** A key of the service, where it has any. */
  readonly apiKey?: string | undefined;
  /** For each step of a request, not for all of it; 35 s unless given. */
  readonly timeoutMs?: number | undefined;
  readonly retries?: Partial<Retries> | undefined;
  /** What sends, for proxies and certificates; that of the platform unless given. */
  readonly fetch?: typeof fetch | undefined;
}

/** A client of one recant service. */
export class Client {
  readonly items: Items;
  readonly interactions: Interactions;
  readonly erasures: Erasures;
  readonly #service: Service;

  constructor(url = "http://127.0.0.1:8080", options: ClientOptions = {}) {
    const { apiKey, timeoutMs = 35_000, retries = {}, fetch = globalThis.fetch } = options;
    const transport = new Transport(url, { apiKey, timeoutMs, fetch });
    this.#service = new Service(transport, retriesOf(retries));
    this.items = new Items(this.#service);
    this.interactions = new Interactions(this.#service);
    this.erasures = new Erasures(this.#service);
  }

  /** The best items for a user. One whom the service does not know gets what is popular. */
  async recommend(user: Id, options: RecommendOptions = {}): Promise<Recommendations> {
    return await recommend(this.#service, { user: idText(user) }, options);
  }

  /** The best items for somebody who is known by the items of this session alone. */
  async recommendSession(
    history: readonly Id[],
    options: RecommendOptions = {},
  ): Promise<Recommendations> {
    return await recommend(this.#service, { history: history.map(idText) }, options);
  }

  /** Lists for many users, in their order; `batch` of them a request, and of one model version. */
  recommendMany(
    users: Source<Id>,
    options: RecommendManyOptions = {},
  ): AsyncGenerator<Recommendations, void, undefined> {
    return recommendMany(this.#service, users, options);
  }

  /** The items most similar to one. */
  async similar(item: Id, options: SimilarOptions = {}): Promise<SimilarItems> {
    return await similar(this.#service, item, options);
  }

  /**
   * The items that most people wanted. With `window` only what happened in this time up to now counts; what
   * came without a timestamp does not then.
   */
  async popular(options: ListOptions = {}): Promise<ItemList> {
    return await list(this.#service, routes.POPULAR, options);
  }

  /**
   * The items that most people wanted of late: somebody counts half as much with each `halfLife` that it is
   * ago. What came without a timestamp does not count.
   */
  async trending(options: TrendingOptions = {}): Promise<ItemList> {
    return await list(this.#service, routes.TRENDING, options);
  }

  /** The items that appeared last, by their timestamps, whether or not anybody wanted them. */
  async latest(options: ListOptions = {}): Promise<ItemList> {
    return await list(this.#service, routes.LATEST, options);
  }

  /**
   * Erases what is named and makes the model forget it.
   *
   * Returns once the request survives a power cut, or with `waitMs`, once the live model has forgotten or
   * the time is over. The answer is the same whether or not there was anything to erase.
   */
  async erase(names: Names, options: EraseOptions = {}): Promise<Erasure> {
    const given = [names.users, names.items, names.interactions];
    if (given.every((some) => (some ?? []).length === 0)) {
      throw new RangeError("nothing is named");
    }
    const request = withJson(routes.ERASE, namesOf(names), {});
    return await Erasure.request(this.#service, request, names, options);
  }

  /** Erases everything of a user, the id included. */
  eraseUser(user: Id, options: EraseOptions = {}): Promise<Erasure> {
    return this.erase({ users: [user] }, options);
  }

  /**
   * Erases every interaction with an item; what is said about it stays (`items.delete` takes that too).
   */
  eraseItem(item: Id, options: EraseOptions = {}): Promise<Erasure> {
    return this.erase({ items: [item] }, options);
  }

  /** Erases these pairs; of one that names a type of feedback, what is of this type. */
  eraseInteractions(pairs: readonly Pair[], options: EraseOptions = {}): Promise<Erasure> {
    return this.erase({ interactions: pairs }, options);
  }

  /**
   * Restricts the processing of what is held of users: it is kept and leaves the model, as if it were
   * erased, until `liftRestrictions`; so does what comes of them later. Its state after `accepted` is
   * `restricted`.
   */
  async restrict(users: readonly Id[], options: EraseOptions = {}): Promise<Erasure> {
    if (users.length === 0) {
      throw new RangeError("nobody is named");
    }
    const request = withJson(routes.RESTRICT, { users: users.map(idText) }, {});
    const restricts = { ...options, isRestriction: true };
    return await Erasure.request(this.#service, request, { users }, restricts);
  }

  /**
   * Ends the restrictions of users: what was kept of them is learnt in the background. Gives when it was made
   * durable; the same for those who are not restricted.
   */
  liftRestrictions(users: readonly Id[], options: CallOptions = {}): Promise<Date> {
    const request = withJson(routes.LIFT, { users: users.map(idText) }, options);
    return this.#service.object(request, (fields) => fields.time("accepted_at"));
  }

  /** The signed receipt of a certified erasure, as it came; `ReceiptNotReady` before. */
  receipt(erasureId: string, options: CallOptions = {}): Promise<string> {
    return receiptText(this.#service, erasureId, options);
  }

  /** The public keys that receipts are signed with, a JSON Web Key Set. */
  jwks(options: CallOptions = {}): Promise<KeySet> {
    return keys(this.#service, options);
  }

  /**
   * Says this about a user in place of all that was said before, and gives what is said now, durable; with
   * no properties nothing is said any more. The id is in the URL.
   */
  putUser(user: Id, properties: Properties, options: CallOptions = {}): Promise<Properties> {
    const request = withJson(routes.PUT_USER, { properties }, options);
    return this.#service.object({ ...request, pathId: idText(user) }, propertiesOf);
  }

  /** What is held of a user; `UserNotFound` when nothing is. The id is in the URL. */
  user(user: Id, { signal }: CallOptions = {}): Promise<User> {
    return this.#service.object({ route: routes.GET_USER, pathId: idText(user), signal }, userOf);
  }

  /** Everybody of whom anything is held, in the order of the bytes of their ids. */
  users({ page = 100, signal }: UsersOptions = {}): AsyncGenerator<User, void, undefined> {
    const request = { route: routes.USERS, query: { limit: String(page) }, signal };
    return this.#service.pages(request, "users", userOf);
  }

  /**
   * Everything that is held about a user, as it comes: what is said about them first, where something is,
   * and each interaction. Nothing for one whom the service does not know.
   *
   * An answer that breaks off is an error of the iteration: what it gave before is not all.
   */
  async *export(user: Id, options: CallOptions = {}): AsyncGenerator<ExportedRow, void, undefined> {
    const request = withJson(routes.EXPORT, { user: idText(user) }, options);
    const headers = { ...request.headers, accept: "application/x-ndjson" };
    const answer = await this.#service.ask({ ...request, headers }, (answer) => answer);
    for await (const line of answer.lines()) {
      yield exportedRow(line);
    }
  }

  /** The live model. */
  model({ signal }: CallOptions = {}): Promise<Model> {
    return this.#service.object({ route: routes.MODEL, signal }, modelOf);
  }

  /** How the service is. It is asked once; `NoAnswerError` when it cannot be reached. */
  health(options: CallOptions = {}): Promise<Health> {
    return health(this.#service, options);
  }

  /**
   * Waits until there is a live model, a minute unless told otherwise; throws what the service last said
   * when it takes longer.
   */
  waitUntilReady({ timeoutMs = 60_000, ...options }: WaitOptions = {}): Promise<void> {
    return waitUntilReady(this.#service, timeoutMs, options);
  }

  /** The description of all calls, an OpenAPI document. */
  openapi({ signal }: CallOptions = {}): Promise<JsonObject> {
    return this.#service.object({ route: routes.OPENAPI, signal }, (fields) => fields.raw());
  }
}
