/** What checking a receipt says, for the page and for reports. */

import { ask } from "./api.js";
import { make } from "./dom.js";
import { provesInclusion } from "./inclusion.js";
import {
  BadReceipt,
  CannotCheck,
  isSettlement,
  opens,
  verify,
  verifySettlement,
} from "./receipt.js";
import { certificate, count, moment, reachesTarget } from "./words.js";

/**
 * Checks a receipt against the keys the server publishes; with `salt`, also that it is about `names`, and with
 * `inclusion` that it is in the log.
 * Gives `{holds, lines, claims}`: `holds` is true, false, or null where it could not be checked.
 */
export async function check(text, { id, act: wanted, salt, names, keys, inclusion } = {}) {
  try {
    const known = keys ?? (await ask(".well-known/jwks.json"));
    if (id === undefined && isSettlement(text)) {
      const claims = await verifySettlement(text, known);
      return { holds: true, lines: settlement(claims), claims };
    }
    const claims = await verify(text, known);
    if (id !== undefined && claims.jti !== id) {
      throw new BadReceipt("It is signed, and it is the receipt of another erasure.");
    }
    if (wanted !== undefined && act(claims) !== wanted) {
      throw new BadReceipt(`It is signed, and it is the receipt of no ${wanted}.`);
    }
    const lines = [signed(claims)];
    let holds = true;
    if (!reachesTarget(claims.certificate)) {
      holds = false;
      lines.push("Its certificate does not reach its target.");
    }
    lines.push(certificate(claims.certificate));
    lines.push(...ofNodes(claims));
    if (salt !== undefined) {
      const isAbout = await opens(claims, salt, names);
      holds &&= isAbout;
      lines.push(
        isAbout
          ? `The salt opens the commitment: the ${act(claims)} is about what is named.`
          : "The salt does not open the commitment to what is named: another salt, or other names.",
      );
    }
    if (inclusion !== undefined) {
      const { name, size } = await provesInclusion(inclusion, text, claims.sequence, known);
      lines.push(
        `It is in the log ${name}, which has ${count(size, "receipt")} and a signed head.`,
      );
    }
    return { holds, lines, claims };
  } catch (error) {
    if (error instanceof BadReceipt) {
      return { holds: false, lines: [error.message], claims: null };
    }
    if (error instanceof CannotCheck) {
      return { holds: null, lines: [error.message], claims: null };
    }
    throw error;
  }
}

/** What a receipt of several nodes leaves open, which is no fault of it. */
function ofNodes({ nodes, kind }) {
  if (nodes === undefined) {
    return [];
  }
  const owing = nodes.filter(({ state }) => state === "owing").map(({ node }) => node);
  const act = kind === "restriction" ? "restriction" : "erasure";
  if (owing.length === 0) {
    return [`Every node had carried out the ${act} when it was signed.`];
  }
  return [
    `When it was signed, ${owing.join(", ")} had been away and had still to carry out the ${act}: a settlement ` +
      "closes that. `recant verify` takes both.",
  ];
}

const HOW = {
  caught_up: "it has caught up",
  transferred: "it has destroyed its keys and got its data anew",
  attested: "its disk is said to be destroyed",
};

function settlement({ sequence, iss, node, upto, how }) {
  return [
    `The signature holds: settlement ${sequence} of ${iss}, and no receipt of an erasure.`,
    `Node ${node} owes nothing of what was erased up to entry ${upto}: ${HOW[how] ?? how}.`,
  ];
}

function act(claims) {
  return claims.kind === "restriction" ? "restriction" : "erasure";
}

function signed(claims) {
  return (
    `The signature holds: receipt ${claims.sequence} of ${claims.iss} for the ${act(claims)} ${claims.jti}, ` +
    `certified ${moment(claims.certified_at)}.`
  );
}

/** The outcome of a check in one word. */
export function word({ holds }) {
  if (holds === null) {
    return "Not checked.";
  }
  return holds ? "It holds." : "It does not hold.";
}

/** A verdict as it is shown. */
export function verdict(result) {
  return make(
    "div",
    { class: result.holds ? "verdict" : "verdict bad" },
    make("strong", {}, word(result)),
    result.lines.map((line) => make("p", {}, line)),
  );
}
