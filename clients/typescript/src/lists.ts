/** Recommendations, similar items, and lists for nobody in particular. */

import { list as listOf, recommendations, similarItems } from "./answers.js";
import { arrangement, diverse, idText, selection, someId } from "./encode.js";
import { UnexpectedAnswer } from "./errors.js";
import { Fields } from "./fields.js";
import type {
  Arrangement,
  DiverseSelection,
  Id,
  ItemList,
  Recommendations,
  Selection,
  SimilarItems,
  Span,
} from "./models.js";
import * as routes from "./routes.js";
import type { Route } from "./routes.js";
import type { Source } from "./rows.js";
import { checkBatch, withJson, type Service } from "./service.js";

export interface RecommendOptions extends Arrangement {
  /** Whether what is already had is left out; it is unless told otherwise. */
  readonly excludeSeen?: boolean | undefined;
  /** Asks what is proven about the list, and which items of the history its scores come from. */
  readonly explain?: boolean | undefined;
  /** How many items of the history to name for each score, 0 to 1000; 5 unless given. With `explain`. */
  readonly because?: number | undefined;
  /** `certified` for the last version whose certificate held. */
  readonly asOf?: "live" | "certified" | undefined;
}

export interface RecommendManyOptions extends Arrangement {
  readonly excludeSeen?: boolean | undefined;
  /** How many users a request; 500 unless given. */
  readonly batch?: number | undefined;
}

export interface SimilarOptions extends DiverseSelection {
  /** Leaves out what this user has. */
  readonly user?: Id | undefined;
}

export interface ListOptions extends Selection {
  /** Counts only what happened, or lists only what appeared, in this time up to now. */
  readonly window?: Span | undefined;
  /** Leaves out what this user has. */
  readonly user?: Id | undefined;
}

export interface TrendingOptions extends ListOptions {
  /** In how long what somebody did comes to half as much; three days unless given. */
  readonly halfLife?: Span | undefined;
}

/** Lists for somebody: a user, or who is known by a history alone. */
export function recommend(
  service: Service,
  subject: { readonly user: string } | { readonly history: readonly string[] },
  options: RecommendOptions,
): Promise<Recommendations> {
  const { excludeSeen, explain, because, asOf } = options;
  const asked = { exclude_seen: excludeSeen, explain, because, as_of: asOf };
  const body = { ...subject, ...arrangement(options), ...asked };
  return service.object(withJson(routes.RECOMMEND, body, options), recommendations);
}

/** Lists for many users in their order, `batch` of them a request. */
export async function* recommendMany(
  service: Service,
  users: Source<Id>,
  { batch = 500, ...options }: RecommendManyOptions,
): AsyncGenerator<Recommendations, void, undefined> {
  checkBatch(batch);
  let waiting: string[] = [];
  for await (const user of users) {
    waiting.push(idText(user));
    if (waiting.length === batch) {
      yield* await batchOf(service, waiting, options);
      waiting = [];
    }
  }
  if (waiting.length > 0) {
    yield* await batchOf(service, waiting, options);
  }
}

async function batchOf(
  service: Service,
  users: readonly string[],
  options: RecommendManyOptions,
): Promise<readonly Recommendations[]> {
  const body = { users, ...arrangement(options), exclude_seen: options.excludeSeen };
  return await service.ask(withJson(routes.RECOMMEND, body, options), async (answer) => {
    const lists: Recommendations[] = [];
    for await (const line of answer.lines()) {
      lists.push(recommendations(Fields.ofJson(line)));
    }
    if (lists.length !== users.length) {
      throw new UnexpectedAnswer("the answer broke off: ask for fewer users at once");
    }
    return lists;
  });
}

/** Items like another one. */
export function similar(
  service: Service,
  item: Id,
  options: SimilarOptions,
): Promise<SimilarItems> {
  const body = { item: idText(item), ...diverse(options), user: someId(options.user) };
  return service.object(withJson(routes.SIMILAR, body, options), similarItems);
}

/** A list for nobody in particular. */
export function list(service: Service, route: Route, options: TrendingOptions): Promise<ItemList> {
  const { window, halfLife, user } = options;
  const body = { ...selection(options), window, half_life: halfLife, user: someId(user) };
  return service.object(withJson(route, body, options), listOf);
}
