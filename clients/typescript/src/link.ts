/** What receipts and settlements have in common: they are links of one chain. */

import type { JsonObject } from "./fields.js";

/** A link of the chain whose signature holds. */
export interface ChainLink {
  /** Who signed: the configured name of the service. */
  readonly issuer: string;
  readonly signedAt: Date;
  /** The place in the chain; the first is 1. */
  readonly sequence: number;
  /** The hash of the link before this one; `null` in the first. */
  readonly previous: string | null;
  /** The hash of this one, as the next names it. */
  readonly hash: string;
  /** The thumbprint of the key that it is signed with. */
  readonly keyId: string;
  /** The receipt or the settlement itself. */
  readonly compact: string;
  /** All claims, those that this client does not know too. */
  readonly claims: JsonObject;
}
