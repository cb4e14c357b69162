/** How receipts of one service hang together. */

import type { Receipt } from "./receipts.js";
import type { Settlement } from "./settlements.js";

/** What a chain consists of. */
type Link = Receipt | Settlement;

export interface Chain {
  /** Links between two receipts that were checked and hold. */
  readonly links: number;
  /** Numbers of receipts that are not here, as first and last: what lies beside them is unchecked. */
  readonly gaps: readonly (readonly [number, number])[];
  /** Numbers that two different receipts have: the chain was continued twice from one place. */
  readonly forks: readonly number[];
  /** Receipts that do not follow the one before them, which is here. */
  readonly broken: readonly number[];
  /** Whether all that can be checked holds. */
  readonly holds: boolean;
  /** Whether these are all the receipts up to the last of them. */
  readonly isComplete: boolean;
}

/** Checks the links between verified receipts and settlements of one service, in any order. */
export function checkChain(receipts: Iterable<Link>): Chain {
  const byNumber = new Map<number, Link>();
  const forks = new Set<number>();
  for (const receipt of receipts) {
    const other = byNumber.get(receipt.sequence) ?? receipt;
    byNumber.set(receipt.sequence, other);
    if (other.hash !== receipt.hash) {
      forks.add(receipt.sequence);
    }
  }
  const inOrder = [...byNumber.values()].sort((one, two) => one.sequence - two.sequence);
  const found = linksOf(inOrder);
  return {
    ...found,
    forks: [...forks].sort((one, two) => one - two),
    holds: forks.size === 0 && found.broken.length === 0,
    isComplete: found.gaps.length === 0,
  };
}

function linksOf(inOrder: readonly Link[]): Pick<Chain, "links" | "gaps" | "broken"> {
  let links = 0;
  let before: { readonly sequence: number; readonly hash: string | null } = {
    sequence: 0,
    hash: null,
  };
  const gaps: [number, number][] = [];
  const broken: number[] = [];
  for (const receipt of inOrder) {
    if (receipt.sequence > before.sequence + 1) {
      gaps.push([before.sequence + 1, receipt.sequence - 1]);
    } else if (receipt.previous !== before.hash) {
      broken.push(receipt.sequence);
    } else if (before.hash !== null) {
      links += 1;
    }
    before = receipt;
  }
  return { links, gaps, broken };
}
