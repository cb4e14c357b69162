/** The models of `models.ts` as they are read from answers. */

import { UnexpectedAnswer } from "./errors.js";
import { Fields } from "./fields.js";
import type {
  Certificate,
  ErasureState,
  ErasureStatus,
  Explanation,
  ExportedRow,
  HistoryShare,
  Item,
  LastCertificate,
  ItemList,
  Model,
  Properties,
  PropertyValue,
  Recommendations,
  ScoredItem,
  SimilarItems,
  User,
  Written,
} from "./models.js";

function historyShare(fields: Fields): HistoryShare {
  return {
    item: fields.text("item"),
    title: fields.someText("title"),
    share: fields.number("share"),
  };
}

function scoredItem(fields: Fields): ScoredItem {
  return {
    item: fields.text("item"),
    score: fields.number("score"),
    title: fields.someText("title"),
    boost: fields.someNumber("boost") ?? 0,
    pinned: fields.someTruth("pinned") ?? false,
    source: fields.someText("source"),
    because: fields.someMany("because", historyShare),
    others: fields.someNumber("others"),
  };
}

/** A certificate. Of one that says nothing of its target it is not known whether it reaches it. */
export function certificate(fields: Fields): Certificate {
  const read = {
    kind: fields.text("kind"),
    holds: fields.someTruth("holds"),
    target: fields.someNumber(fields.has("target") ? "target" : "tolerance"),
    rootMeanSquare: fields.someNumber("root_mean_square"),
    residual: fields.someNumber("residual"),
    raw: fields.raw(),
  };
  const isBound = read.kind === "duality_gap";
  const reached = isBound ? read.rootMeanSquare : read.residual;
  const isWithin = read.target !== null && reached !== null && reached <= read.target;
  const isGood = isWithin && (!isBound || read.holds === true);
  return { ...read, isGood, isProof: isBound && isGood };
}

function explanation(fields: Fields): Explanation {
  return {
    certificate: fields.some("certificate", certificate),
    certificateVersion: fields.someWhole("certificate_version"),
    scoreBound: fields.someNumber("score_bound"),
    margin: fields.someNumber("margin"),
    marginNeeded: fields.someNumber("margin_needed"),
    topKProven: fields.truth("top_k_proven"),
    leadingSetProven: fields.whole("leading_set_proven"),
    leadingPositionsProven: fields.whole("leading_positions_proven"),
    poolSize: fields.someWhole("pool_size"),
    poolProven: fields.someTruth("pool_proven"),
    reason: fields.text("reason"),
  };
}

export function recommendations(fields: Fields): Recommendations {
  return {
    user: fields.someText("user"),
    modelVersion: fields.whole("model_version"),
    source: fields.text("source"),
    items: fields.many("items", scoredItem),
    explanation: fields.some("explanation", explanation),
  };
}

export function similarItems(fields: Fields): SimilarItems {
  return {
    item: fields.text("item"),
    modelVersion: fields.whole("model_version"),
    items: fields.many("items", scoredItem),
  };
}

export function list(fields: Fields): ItemList {
  return {
    modelVersion: fields.whole("model_version"),
    items: fields.many("items", (listed) => ({
      item: listed.text("item"),
      score: listed.number("score"),
      title: listed.someText("title"),
    })),
  };
}

export function item(fields: Fields): Item {
  return {
    id: fields.text("id"),
    title: fields.someText("title"),
    tags: fields.texts("tags"),
    properties: fields.object("properties") as Readonly<Record<string, PropertyValue>>,
    timestamp: fields.someWhole("timestamp"),
    hidden: fields.truth("hidden"),
  };
}

export function written(fields: Fields): Written {
  return {
    accepted: fields.whole("accepted"),
    heldBack: fields.someWhole("held_back") ?? 0,
    rejected: fields.many("rejected", (row) => ({
      index: row.whole("index"),
      reason: row.text("reason"),
    })),
  };
}

const STATUSES: readonly string[] = [
  "accepted",
  "erased",
  "restricted",
  "forgotten",
  "certified",
  "failed",
];

export function erasureStatus(fields: Fields): ErasureStatus {
  const status = fields.text("status");
  if (!STATUSES.includes(status)) {
    throw new UnexpectedAnswer("the answer has a status that this client does not know");
  }
  return status as ErasureStatus;
}

export function erasureState(fields: Fields): ErasureState {
  return {
    id: fields.text("id"),
    kind: fields.someText("kind"),
    status: erasureStatus(fields),
    acceptedAt: fields.time("accepted_at"),
    erasedAt: fields.someTime("erased_at"),
    restrictedAt: fields.someTime("restricted_at"),
    forgottenAt: fields.someTime("forgotten_at"),
    certifiedAt: fields.someTime("certified_at"),
    certifiedVersion: fields.someWhole("certified_version"),
    modelVersionBefore: fields.someWhole("model_version_before"),
    modelVersionAfter: fields.someWhole("model_version_after"),
    certificate: fields.some("certificate", certificate),
    failure: fields.someText("failure"),
  };
}

/** What is said about a user. */
export function properties(fields: Fields): Properties {
  return fields.object("properties") as Properties;
}

export function user(fields: Fields): User {
  return {
    user: fields.text("user"),
    properties: properties(fields),
    interactions: fields.whole("interactions"),
    restricted: fields.someTruth("restricted") ?? false,
  };
}

export function exportedRow(line: string): ExportedRow {
  const fields = Fields.ofJson(line);
  if (!fields.has("item")) {
    return {
      user: fields.text("user"),
      properties: properties(fields),
      restricted: fields.someTruth("restricted") ?? false,
      line,
    };
  }
  return {
    item: fields.text("item"),
    title: fields.someText("title"),
    type: fields.someText("type") ?? "interaction",
    weight: fields.number("weight"),
    timestamp: fields.someWhole("timestamp"),
    line,
  };
}

function lastCertificate(fields: Fields): LastCertificate {
  return {
    version: fields.whole("version"),
    at: fields.time("at"),
    ageSeconds: fields.number("age_seconds"),
    eventsSince: fields.whole("events_since"),
  };
}

export function model(fields: Fields): Model {
  return {
    version: fields.whole("version"),
    kind: fields.text("kind"),
    dim: fields.whole("dim"),
    users: fields.whole("users"),
    items: fields.whole("items"),
    interactions: fields.whole("interactions"),
    hyperParameters: fields.object("hyper_parameters"),
    objective: fields.someNumber("objective"),
    residual: fields.someNumber("residual"),
    certificate: fields.some("certificate", certificate),
    certified: fields.some("certified", lastCertificate),
  };
}
