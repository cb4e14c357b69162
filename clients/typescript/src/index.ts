/** A client of recant, the recommender that can take back what it learnt. */

export { checkChain, type Chain } from "./chain.js";
export { Client, type ClientOptions, type UsersOptions } from "./client.js";
export { commitment, type Act } from "./commitment.js";
export type { EraseOptions } from "./asked.js";
export { Erasure, type AcceptedErasure, type VerifyOptions, type WaitOptions } from "./erasure.js";
export type { Erasures, ErasuresOptions } from "./erasures.js";
export * from "./errors.js";
export type { JsonObject } from "./fields.js";
export type { ChainLink } from "./link.js";
export type { Interactions } from "./interactions.js";
export type { Items, ItemsOptions } from "./items.js";
export type {
  ListOptions,
  RecommendManyOptions,
  RecommendOptions,
  SimilarOptions,
  TrendingOptions,
} from "./lists.js";
export type * from "./models.js";
export { isAbout, verifyReceipt, type KeySet, type LogEntry, type Receipt } from "./receipts.js";
export type { Retries } from "./retries.js";
export { owedBy, verifySettlement, type Settlement } from "./settlements.js";
export type { ManyOptions, Source } from "./rows.js";
