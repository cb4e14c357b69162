/** What checking a receipt says, for the page and for reports. */

import { ask } from "./api.js";
import { make } from "./dom.js";
import { provesInclusion } from "./inclusion.js";
import { BadReceipt, CannotCheck, opens, verify } from "./receipt.js";
import { certificate, count, moment, reachesTarget } from "./words.js";

/**
 * Checks a receipt against the keys the server publishes; with `salt`, also that it is about `names`, and with
 * `inclusion` that it is in the log.
 * Gives `{holds, lines, claims}`: `holds` is true, false, or null where it could not be checked.
 */
export async function check(text, { id, salt, names, keys, inclusion } = {}) {
  try {
    const known = keys ?? (await ask(".well-known/jwks.json"));
    const claims = await verify(text, known);
    if (id !== undefined && claims.jti !== id) {
      throw new BadReceipt("It is signed, and it is the receipt of another erasure.");
    }
    const lines = [signed(claims)];
    let holds = true;
    if (!reachesTarget(claims.certificate)) {
      holds = false;
      lines.push("Its certificate does not reach its target.");
    }
    lines.push(certificate(claims.certificate));
    if (salt !== undefined) {
      const isAbout = await opens(claims, salt, names);
      holds &&= isAbout;
      lines.push(
        isAbout
          ? "The salt opens the commitment: the erasure is about what is named."
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

function signed(claims) {
  return (
    `The signature holds: receipt ${claims.sequence} of ${claims.iss} for the erasure ${claims.jti}, ` +
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
