/** What the caller gives, as the service reads it. */

import type {
  Arrangement,
  DiverseSelection,
  Id,
  Interaction,
  ItemDescription,
  ItemPatch,
  Names,
  Selection,
  Time,
} from "./models.js";

/** JSON on one line. What JSON would silently turn into `null` is refused. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (typeof part === "number" && !Number.isFinite(part)) {
      throw new RangeError("NaN and infinity cannot be said in JSON");
    }
    return part;
  });
}

/** An id as its text. A number that may stand for several whole ones names nobody. */
export function idText(id: Id): string {
  if (typeof id === "number" && !Number.isSafeInteger(id)) {
    throw new RangeError("a number as an id must be whole and below 2^53: give a text or a bigint");
  }
  return String(id);
}

/** An id as its text, where there is one. */
export function someId(id: Id | undefined): string | undefined {
  return id === undefined ? undefined : idText(id);
}

function idTexts(ids: readonly Id[] | undefined): readonly string[] | undefined {
  return ids?.map(idText);
}

/** A time as the service reads it; of `null` and of nothing the same. */
function time<T extends Time | null | undefined>(value: T): string | number | T {
  return value instanceof Date ? value.toISOString() : value;
}

/** The fields of a selection. */
export function selection(given: Selection): object {
  return {
    k: given.k,
    offset: given.offset,
    exclude: idTexts(given.exclude),
    allow: idTexts(given.allow),
    tags: given.tags,
    tags_all: given.tagsAll,
    tags_none: given.tagsNone,
    filter: given.filter,
  };
}

/** The fields of a selection that is diverse. */
export function diverse(given: DiverseSelection): object {
  return { ...selection(given), diversity: given.diversity };
}

/** The fields of an arrangement, with those of its selection. */
export function arrangement(given: Arrangement): object {
  const { boosts, pins } = given;
  return { ...diverse(given), boosts, pins: idTexts(pins) };
}

/** What is said of an item, apart from its id: what is not given is absent, `null` stays. */
export function said(given: ItemPatch): object {
  return {
    title: given.title,
    tags: given.tags,
    properties: given.properties,
    timestamp: time(given.timestamp),
    hidden: given.hidden,
  };
}

/** An item as one of many. */
export function itemRow(given: ItemDescription): object {
  return { id: idText(given.id), ...said(given) };
}

/** An interaction as one of many. */
export function interactionRow(given: Interaction): object {
  return {
    user: idText(given.user),
    item: idText(given.item),
    type: given.type,
    weight: given.weight,
    timestamp: time(given.timestamp),
  };
}

/** What an erasure names. */
export function names(given: Names): object {
  return {
    users: idTexts(given.users),
    items: idTexts(given.items),
    interactions: given.interactions?.map((pair) => ({
      user: idText(pair.user),
      item: idText(pair.item),
      type: pair.type,
    })),
  };
}
