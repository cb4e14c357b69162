/** What nodes of a cluster that were away have settled, checked without the service that signed it. */

import type { Bytes } from "./bytes.js";
import { ReceiptError, RecantError } from "./errors.js";
import { Fields } from "./fields.js";
import type { ChainLink } from "./link.js";
import {
  checkPlace,
  objectOf,
  opened,
  secondsOf,
  SETTLEMENT_TYPE,
  type KeySet,
  type Receipt,
} from "./receipts.js";

/**
 * A settlement whose signature holds: that a node which was away owes nothing any more. It is a link of the
 * same chain as receipts.
 */
export interface Settlement extends ChainLink {
  /** The node that was away. */
  readonly node: string;
  /** It owes nothing of what entries of the cluster's log up to this one erased. */
  readonly upto: number;
  /** How that came about: `caught_up`, `transferred` or `attested`. */
  readonly how: string;
  /** The lives of the log over which entries are counted. */
  readonly incarnations: readonly string[];
}

/**
 * Checks that a settlement, one line of `/receipts/settlements`, is signed by one of the keys; throws
 * `ReceiptError` when it does not hold.
 */
export async function verifySettlement(compact: string, jwks: KeySet): Promise<Settlement> {
  const { text, hash, keyId, payload } = await opened(compact, jwks, SETTLEMENT_TYPE);
  const settlement = settlementOf(text, hash, keyId, payload);
  checkPlace(settlement);
  return settlement;
}

/**
 * The nodes that were away and owe the erasure that `receipt` is about, but for those that have settled it by
 * `settlements`. While there are any the receipt is open.
 */
export function owedBy(receipt: Receipt, settlements: Iterable<Settlement> = []): string[] {
  const known = [...settlements];
  const owing = [...(receipt.nodes ?? [])].filter(([, state]) => state === "owing");
  return owing
    .map(([node]) => node)
    .filter((node) => !known.some((settlement) => closes(settlement, receipt, node)));
}

function closes(settlement: Settlement, { entry }: Receipt, node: string): boolean {
  return (
    entry !== null &&
    settlement.node === node &&
    entry.number <= settlement.upto &&
    settlement.incarnations.includes(entry.incarnation)
  );
}

function settlementOf(compact: string, hash: string, keyId: string, payload: Bytes): Settlement {
  const claims = objectOf(payload, "claims");
  const fields = new Fields(claims);
  try {
    return {
      issuer: fields.text("iss"),
      signedAt: secondsOf(fields, "iat"),
      node: fields.text("node"),
      upto: fields.whole("upto"),
      how: fields.text("how"),
      incarnations: fields.texts("incarnations"),
      sequence: fields.whole("sequence"),
      previous: fields.someText("previous"),
      hash,
      keyId,
      compact,
      claims,
    };
  } catch (error) {
    if (error instanceof RecantError && !(error instanceof ReceiptError)) {
      throw new ReceiptError("its claims are not those of a settlement");
    }
    throw error;
  }
}
