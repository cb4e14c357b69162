/** What is sent and what comes back, as plain data. */

import type { JsonObject } from "./fields.js";

/** An id as it may be given; a whole number is its decimal text. */
export type Id = string | number | bigint;

/**
 * When something happened: a `Date`, RFC 3339 as a text, or a number since 1970 in seconds,
 * milliseconds, microseconds or nanoseconds, told apart by size.
 */
export type Time = Date | string | number;

/** How long something takes or lasts, as in `7d`, `36h` or `1d 12h`. */
export type Span = string;

/** The value of a property, of an item or a user. */
export type PropertyValue = string | number | boolean;

/** What every call takes. */
export interface CallOptions {
  /** Ends the call, its pauses and its retries. What was sent may have been carried out. */
  readonly signal?: AbortSignal | undefined;
}

/** Which items may be in a list, and which page of it; all that is given must hold. */
export interface Selection extends CallOptions {
  /** How many, 1 to 1000; 10 unless given. */
  readonly k?: number | undefined;
  /** How many of the best to leave out before these. */
  readonly offset?: number | undefined;
  /** All but these items. */
  readonly exclude?: readonly Id[] | undefined;
  /** These items alone. */
  readonly allow?: readonly Id[] | undefined;
  /** With at least one of the tags. */
  readonly tags?: readonly string[] | undefined;
  /** With each of the tags. */
  readonly tagsAll?: readonly string[] | undefined;
  /** With none of the tags. */
  readonly tagsNone?: readonly string[] | undefined;
  /** Of which an expression in CEL is true, as in `"drama" in tags && properties.price < 20`. */
  readonly filter?: string | undefined;
}

/** Which items may be in a list, and how diverse it is. */
export interface DiverseSelection extends Selection {
  /** How much likeness to what comes before it counts against an item, 0 to 1; 0 unless given. */
  readonly diversity?: number | undefined;
}

/** Which items may be in a list, and how it is arranged besides the order of its scores. */
export interface Arrangement extends DiverseSelection {
  /** What is added to the scores of these items, up to 1000 of them. */
  readonly boosts?: Readonly<Record<string, number>> | undefined;
  /** Up to 100 items that come first, in this order: those of them that may be in the list. */
  readonly pins?: readonly Id[] | undefined;
}

/** What one item of a history brings to a score. */
export interface HistoryShare {
  readonly item: string;
  readonly title: string | null;
  /** How much of the score; negative where it speaks against. */
  readonly share: number;
}

/** One item of a list. */
export interface ScoredItem {
  readonly item: string;
  /** What the list is ordered by, where it is not arranged otherwise; a boost is in it. */
  readonly score: number;
  readonly title: string | null;
  /** What of the score the question added. */
  readonly boost: number;
  /** Whether it comes first because the question says so. */
  readonly pinned: boolean;
  /**
   * `content` where nobody has touched the item yet, so that its score comes from what is said about it and
   * nothing is proven of it; `null` elsewhere.
   */
  readonly source: string | null;
  /**
   * The items of the history that the score comes from, largest share first; with `explain`, of lists that
   * come from a history.
   */
  readonly because: readonly HistoryShare[] | null;
  /** What the rest of the history brings: with the shares and the boost it adds up to the score. */
  readonly others: number | null;
}

/** How far a model can be from one that never saw what was erased. */
export interface Certificate {
  /** `duality_gap`: a proven bound. `residual`: measured, and no proof. */
  readonly kind: string;
  /** Whether the service says that the target is met. */
  readonly holds: boolean | null;
  /** What the bound, or what was measured, should be at most. */
  readonly target: number | null;
  /** Bound on the root mean square of the scores' distance to the retrained model's. */
  readonly rootMeanSquare: number | null;
  /** What was measured: the relative gradient residual. */
  readonly residual: number | null;
  /** Whether the numbers reach the target, whatever the certificate says of itself. */
  readonly isGood: boolean;
  /** Whether it is a proven bound that reaches its target. */
  readonly isProof: boolean;
  /** All of it, as it came. */
  readonly raw: JsonObject;
}

/** What is proven about a list. */
export interface Explanation {
  readonly certificate: Certificate | null;
  readonly certificateVersion: number | null;
  /** No score is farther from its retrained value than this. */
  readonly scoreBound: number | null;
  /**
   * How far the list's least score, or that of the pool, is above that of the best candidate outside it;
   * what is pinned is neither.
   */
  readonly margin: number | null;
  /** The margin above which the set of items is proven. */
  readonly marginNeeded: number | null;
  /** Whether the retrained model provably gives the same set of items. */
  readonly topKProven: boolean;
  /** So many items at the head are provably the retrained model's, in some order. */
  readonly leadingSetProven: number;
  /** So many items at the head are provably the retrained model's, in this order. */
  readonly leadingPositionsProven: number;
  /** Of how many of the best, by their scores, `diversity` made the list; `null` without it. */
  readonly poolSize: number | null;
  /** Whether the retrained model provably chooses from the same pool; `null` without `diversity`. */
  readonly poolProven: boolean | null;
  readonly reason: string;
}

/** A list for somebody, best first, all of one model version. */
export interface Recommendations {
  /** For whom; `null` for a session. */
  readonly user: string | null;
  readonly modelVersion: number;
  /** `model`, `fold_in` or `popular`. */
  readonly source: string;
  readonly items: readonly ScoredItem[];
  readonly explanation: Explanation | null;
}

/** Items like another one, most similar first. */
export interface SimilarItems {
  readonly item: string;
  readonly modelVersion: number;
  readonly items: readonly ScoredItem[];
}

/** One item of a list for nobody in particular. */
export interface ListedItem {
  readonly item: string;
  /** People, people of whom each counts the less the longer ago it was, or seconds since 1970. */
  readonly score: number;
  readonly title: string | null;
}

/** A list for nobody in particular, in order. */
export interface ItemList {
  readonly modelVersion: number;
  readonly items: readonly ListedItem[];
}

/** What is said of an item, in place of all that was said before. */
export interface ItemDescription {
  readonly id: Id;
  readonly title?: string | null | undefined;
  readonly tags?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, PropertyValue>> | undefined;
  /** When it appeared. */
  readonly timestamp?: Time | null | undefined;
  /** Left out of every list; what was learnt of it stays. */
  readonly hidden?: boolean | undefined;
}

/** What changes of an item: what is absent stays, `null` clears. */
export interface ItemPatch {
  readonly title?: string | null | undefined;
  readonly tags?: readonly string[] | null | undefined;
  /** Those that are named change. */
  readonly properties?: Readonly<Record<string, PropertyValue | null>> | null | undefined;
  readonly timestamp?: Time | null | undefined;
  readonly hidden?: boolean | null | undefined;
}

/** An item as the service has it. */
export interface Item {
  readonly id: string;
  readonly title: string | null;
  readonly tags: readonly string[];
  readonly properties: Readonly<Record<string, PropertyValue>>;
  /** The number; above 2^53, as nanoseconds are, it is rounded. */
  readonly timestamp: number | null;
  readonly hidden: boolean;
}

/** Somebody did something with an item. */
export interface Interaction {
  readonly user: Id;
  readonly item: Id;
  /** Which type of feedback, of those that the service is configured with. */
  readonly type?: string | undefined;
  /** Confidence; 1 unless given. */
  readonly weight?: number | undefined;
  /** When; now unless given. Of a pair the newest counts. */
  readonly timestamp?: Time | undefined;
}

/** What one user did with one item; with `type` only what is of this type of feedback. */
export interface Pair {
  readonly user: Id;
  readonly item: Id;
  readonly type?: string | undefined;
}

/** What an erasure names: any of the three, up to 10 000 together. */
export interface Names {
  /** Everything of each of these users. */
  readonly users?: readonly Id[] | undefined;
  /** Every interaction with each of these items; what is said about them stays. */
  readonly items?: readonly Id[] | undefined;
  /** These pairs, and nothing else of their users. */
  readonly interactions?: readonly Pair[] | undefined;
}

/** A row that was not taken. */
export interface RejectedRow {
  /** Its place among all rows that were given, from 0. */
  readonly index: number;
  readonly reason: string;
}

/** What became of rows. */
export interface Written {
  /** Durable now. */
  readonly accepted: number;
  /** Interactions from before an erasure that names them: erased once, and not taken again. */
  readonly heldBack: number;
  readonly rejected: readonly RejectedRow[];
}

/** `restricted` takes the place of `erased` in the life of a restriction. */
export type ErasureStatus =
  "accepted" | "erased" | "restricted" | "forgotten" | "certified" | "failed";

/** How far an erasure has come; never whom it is about. */
export interface ErasureState {
  readonly id: string;
  /**
   * What was named, as in a receipt; `restriction` when nothing was erased. `null` of a service that does not
   * say.
   */
  readonly kind: string | null;
  readonly status: ErasureStatus;
  readonly acceptedAt: Date;
  /** When the data left the store. */
  readonly erasedAt: Date | null;
  /** When the data left what is processed, of a restriction. */
  readonly restrictedAt: Date | null;
  /** When the updated model was swapped in. */
  readonly forgottenAt: Date | null;
  /** When the certificate was attached. */
  readonly certifiedAt: Date | null;
  readonly certifiedVersion: number | null;
  readonly modelVersionBefore: number | null;
  /** The first version that had forgotten. */
  readonly modelVersionAfter: number | null;
  readonly certificate: Certificate | null;
  /** Why it failed, or has no certificate yet, when that was tried; it is tried again. */
  readonly failure: string | null;
}

/** What is said about somebody, by name. */
export type Properties = Readonly<Record<string, PropertyValue>>;

/** Somebody of whom something is held. */
export interface User {
  readonly user: string;
  /** What is said about them. */
  readonly properties: Properties;
  /** How many interactions are held and learnt. */
  readonly interactions: number;
  /** Whether they are kept without being processed. */
  readonly restricted: boolean;
}

/** What is said about a user: the first row of an export, where there is anything. */
export interface ExportedUser {
  readonly user: string;
  readonly properties: Properties;
  /** Whether what is held is kept without being processed. */
  readonly restricted: boolean;
  /** The line as it came, in which every number is exact. */
  readonly line: string;
}

/** One row of an export; only an interaction has an `item`. */
export type ExportedRow = ExportedUser | ExportedInteraction;

/** One thing that is held of what a user did. */
export interface ExportedInteraction {
  readonly item: string;
  readonly title: string | null;
  /** Which type of feedback. */
  readonly type: string;
  /** The weight that it came with. */
  readonly weight: number;
  /** In the unit that it came with; above 2^53, as nanoseconds are, it is rounded. */
  readonly timestamp: number | null;
  /** The line as it came, in which every number is exact. */
  readonly line: string;
}

/** Where the last certificate that held was given. */
export interface LastCertificate {
  readonly version: number;
  readonly at: Date;
  readonly ageSeconds: number;
  /** Entries of the log since then. */
  readonly eventsSince: number;
}

/** The live model. */
export interface Model {
  readonly version: number;
  /** `ials`, `neumf` or `lightgcn`. */
  readonly kind: string;
  readonly dim: number;
  readonly users: number;
  readonly items: number;
  readonly interactions: number;
  readonly hyperParameters: JsonObject;
  readonly objective: number | null;
  readonly residual: number | null;
  readonly certificate: Certificate | null;
  /** Where the last certificate that held was given. */
  readonly certified: LastCertificate | null;
}

/** How the service is. */
export interface Health {
  /** It learns and forgets; if not, restart it. */
  readonly alive: boolean;
  /** There is a live model, and the store takes writes. */
  readonly ready: boolean;
  /** What is amiss, if anything. */
  readonly reason: string | null;
}
