/**
 * What was asked for in this page, erasures, restrictions and their ends: each is sent once, followed, and its
 * receipt checked.
 */

import { ask, askText, events } from "./api.js";
import { check } from "./check.js";

const NEEDS = { needs: "erase" };

/** Milliseconds between two looks at what goes on, and between two tries at a server that is gone. */
const PAUSE = 1_500;

/** Where each act is asked for. The end of a restriction is done when it is accepted, and has no receipt. */
const PATHS = {
  erasure: "erasures",
  restriction: "restrictions",
  lifting: "restrictions/lift",
};

/** Tells who listens that something changed: `change`. */
export const changes = new EventTarget();

/** All of them, in the order they were asked for. */
export const cases = [];

/** Why nothing is sent at the moment; null while things go. */
let trouble = null;

let isSending = false;
let isStopped = false;
let isFollowing = false;
let keys = null;

/** The last thing that went wrong, if it has not passed. */
export function currentTrouble() {
  return trouble;
}

/**
 * Asks for `act`, an `erasure`, a `restriction` or a `lifting`, of each of these: `{label, names}`, with names as
 * in the request.
 */
export function add(act, wanted) {
  isStopped = hasStopped();
  for (const { label, names } of wanted) {
    cases.push({ act, label, names, idempotency: unguessable(), state: "waiting" });
  }
  changed();
  send();
  follow();
}

/** Whether a salt would be lost with this page; `taken` says that they are in a file now. */
export function hasUntaken() {
  return cases.some((one) => one.state === "waiting" || (one.salt && !one.isTaken));
}

/** Sends nothing more until told to go on; what is under way is waited for. */
export function stop() {
  isStopped = true;
  changed();
}

/** Goes on with what was not sent. */
export function goOn() {
  isStopped = false;
  changed();
  send();
}

/** Whether what waits is to wait. */
export function hasStopped() {
  return isStopped && cases.some((one) => one.state === "waiting");
}

/** Whether the server has heard nothing of a case, and will not. */
export function isUnsent(one) {
  return one.state === "waiting" && !one.isTried && !one.isUnderWay;
}

/** Forgets what was not sent. What got no answer stays: it may have been accepted. */
export function takeBack() {
  const kept = cases.filter((one) => !isUnsent(one));
  cases.splice(0, cases.length, ...kept);
  if (!cases.some((one) => one.state === "waiting")) {
    trouble = null;
  }
  changed();
}

/** Notes that what there is of these was handed to the person. */
export function taken() {
  for (const one of cases) {
    one.isTaken = one.salt !== undefined && one.erasure?.status === "certified";
  }
}

/** A key for a request that may have to be repeated. Salts follow from it, so nobody may guess it. */
function unguessable() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function changed() {
  changes.dispatchEvent(new Event("change"));
}

function pause(seconds) {
  return new Promise((resolve) =>
    setTimeout(resolve, seconds === undefined ? PAUSE : seconds * 1000),
  );
}

/** Sends what waits, one after the other. What got no answer is sent again under the same key. */
async function send() {
  if (isSending) {
    return;
  }
  isSending = true;
  let one;
  while (!isStopped && (one = cases.find((waits) => waits.state === "waiting")) !== undefined) {
    if (!(await sendOne(one))) {
      break;
    }
  }
  isSending = false;
  changed();
}

/** Whether to go on. */
async function sendOne(one) {
  const headers = { "idempotency-key": one.idempotency };
  try {
    one.isUnderWay = true;
    const request = { method: "POST", body: one.names, headers, ...NEEDS };
    take(one, await ask(PATHS[one.act], request));
    one.isUnderWay = false;
    trouble = null;
    follow();
  } catch (error) {
    one.isUnderWay = false;
    if (error.passes) {
      trouble = error;
      // Too many requests are refused before they are read; of everything else nobody knows.
      one.isTried ||= error.status !== 429;
      changed();
      await pause(error.retryAfter);
      return true;
    }
    if (error.needs !== undefined) {
      trouble = error;
      return false;
    }
    Object.assign(one, { state: "refused", problem: error.message });
  }
  changed();
  return true;
}

/** Takes the answer to a request. */
function take(one, answer) {
  if (one.act === "lifting") {
    Object.assign(one, { state: "lifted", liftedAt: answer.accepted_at });
  } else {
    Object.assign(one, { id: answer.id, salt: answer.receipt_salt, state: answer.status });
  }
}

function isOpen(one) {
  return one.id !== undefined && one.result === undefined;
}

/** Looks at what is not certified yet until all is. */
async function follow() {
  if (isFollowing) {
    return;
  }
  isFollowing = true;
  while (cases.some(isOpen)) {
    try {
      for (const one of cases.filter(isOpen)) {
        await lookAt(one);
      }
      if (!cases.some((one) => one.state === "waiting")) {
        trouble = null;
      }
    } catch (error) {
      trouble = error;
      if (!error.passes) {
        break;
      }
    }
    changed();
    if (cases.some(isOpen)) {
      await pause();
    }
  }
  isFollowing = false;
  changed();
}

async function lookAt(one) {
  const erasure = await ask(`erasures/${one.id}`, NEEDS);
  one.erasure = erasure;
  one.state = erasure.status;
  if (erasure.status === "certified") {
    keys ??= await askText(".well-known/jwks.json");
    const receipt = await askText(`erasures/${one.id}/receipt`, NEEDS);
    one.inclusion = await inclusionOf(one.id);
    one.receipt = receipt;
    const { id, names, act } = one;
    const salt = one.salt ?? undefined;
    one.result = await check(receipt, {
      id,
      act,
      salt,
      names,
      keys: JSON.parse(keys),
      inclusion: one.inclusion,
    });
    changed();
  }
}

/**
 * The proof that a receipt is in the log. A service whose older receipts are gone has no log, and its
 * receipts are good without.
 */
export function inclusionOf(id) {
  return askText(`erasures/${id}/inclusion`, NEEDS).catch(withoutLog);
}

function withoutLog(error) {
  if (error.status === 404) {
    return undefined;
  }
  throw error;
}

/** The keys of receipts as the server publishes them; null before the first receipt. */
export function publishedKeys() {
  return keys;
}

events.addEventListener("key", () => {
  trouble = null;
  send();
  follow();
});
