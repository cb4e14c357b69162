/** Checks receipts here, in the browser, as docs/receipts.md draws them. */

const TYPE = "recant-receipt+jwt";
const SETTLEMENT = "recant-settlement+jwt";
const METHOD = "recant-erasure-commitment-1+HMAC-SHA-256";
const TITLE = "recant erasure commitment 1";

const encoder = new TextEncoder();

/** A receipt that is not one, or whose signature does not hold; the message says why. */
export class BadReceipt extends Error {
  constructor(message) {
    super(message);
    this.title = "The receipt does not hold";
  }
}

/** This browser cannot check; nothing is said about the receipt. */
export class CannotCheck extends Error {
  constructor(message) {
    super(message);
    this.title = "The receipt was not checked";
  }
}

/** Takes the receipt in `text` apart and checks its signature with the keys of `jwks`; gives its claims. */
export function verify(text, jwks) {
  return verifyAs(TYPE, text, jwks);
}

/** The same of a settlement, which is in the chain of receipts and is none. */
export function verifySettlement(text, jwks) {
  return verifyAs(SETTLEMENT, text, jwks);
}

/** Whether a text says that it is a settlement. */
export function isSettlement(text) {
  try {
    return json(text.trim().split(".")[0], "header").typ === SETTLEMENT;
  } catch {
    return false;
  }
}

async function verifyAs(type, text, jwks) {
  const parts = text.trim().split(".");
  if (parts.length !== 3) {
    throw new BadReceipt("It is not three parts with dots between them.");
  }
  const [head, body, signature] = parts;
  const header = json(head, "header");
  if (header.alg !== "EdDSA" || header.typ !== type || header.crit !== undefined) {
    throw new BadReceipt("Its header is not that of a receipt of recant.");
  }
  const key = (jwks.keys ?? []).find((known) => known.kid === header.kid);
  if (key === undefined) {
    throw new BadReceipt("It is signed with a key that this service does not publish.");
  }
  if (key.kty !== "OKP" || key.crv !== "Ed25519" || (await thumbprint(key)) !== key.kid) {
    throw new BadReceipt("The published key is not the one its name says.");
  }
  const verifier = await publicKey(key);
  const signed = encoder.encode(`${head}.${body}`);
  const holds = await crypto.subtle.verify("Ed25519", verifier, fromBase64(signature), signed);
  if (!holds) {
    throw new BadReceipt("The signature is not that of its text: it was changed, or it is forged.");
  }
  return json(body, "claims");
}

/** A published key, ready to verify with. */
export async function publicKey(key) {
  const { kty, crv, x } = key;
  try {
    return await crypto.subtle.importKey("jwk", { kty, crv, x }, "Ed25519", false, ["verify"]);
  } catch (error) {
    if (error.name === "NotSupportedError") {
      throw new CannotCheck(
        "This browser has no Ed25519: take a newer one, or `recant verify` on a command line.",
      );
    }
    throw new BadReceipt("The published key is none of Ed25519.");
  }
}

/** RFC 7638, over the members that make a key of this kind. */
async function thumbprint({ crv, kty, x }) {
  needCrypto();
  const text = JSON.stringify({ crv, kty, x });
  return toBase64(await crypto.subtle.digest("SHA-256", encoder.encode(text)));
}

/** Browsers offer their cryptography to pages of HTTPS and of this machine alone. */
export function needCrypto() {
  if (globalThis.crypto?.subtle === undefined) {
    throw new CannotCheck(
      "The browser lends its cryptography to HTTPS and to localhost alone: open this page there, " +
        "or take `recant verify` on a command line.",
    );
  }
}

/**
 * Whether `salt` opens the commitment of `claims` to what `names` holds: `{users, items, interactions}`
 * as in the request, ids without the blanks around them.
 */
export async function opens(claims, salt, names) {
  if (claims.commitment === null || claims.commitment === undefined) {
    throw new BadReceipt("It holds no commitment: the erasure is from before there were receipts.");
  }
  if (claims.commitment.method !== METHOD) {
    throw new CannotCheck("It holds a commitment of a kind that this page does not know.");
  }
  return (await commitment(salt, names, claims.kind)) === claims.commitment.value;
}

/** The commitment under `salt` to `names`, or to the restriction of the users of `names`. */
export async function commitment(salt, names, act) {
  needCrypto();
  const secret = fromBase64(salt.trim());
  if (secret.length !== 32) {
    throw new BadReceipt("A salt is 32 bytes in base64url, 43 letters.");
  }
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
  return toBase64(await crypto.subtle.sign("HMAC", key, message(names, act)));
}

function message(names, act) {
  const { kind, fields } = act === "restriction" ? restriction(names) : meaning(names);
  const all = [encoder.encode(TITLE), encoder.encode(kind), ...fields];
  return new Uint8Array(all.flatMap((field) => [...number(field.length), ...field]));
}

/** Users alone are restricted; what names anything else is about something else. */
function restriction({ users = [], items = [], interactions = [] }) {
  if (items.length + interactions.length > 0) {
    return meaning({ users, items, interactions });
  }
  return { kind: "restriction", fields: counted(ordered(users.map((user) => [user]))) };
}

/** The kind of a request, however it is written, and the fields that follow it. */
function meaning({ users = [], items = [], interactions = [] }) {
  const people = ordered(users.map((user) => [user]));
  const things = ordered(items.map((item) => [item]));
  const typed = interactions.filter((pair) => pair.type !== undefined);
  const plain = interactions.filter((pair) => pair.type === undefined);
  const pairs = ordered(plain.map(({ user, item }) => [user, item]));
  const typedPairs = ordered(typed.map(({ user, item, type }) => [user, item, type]));
  const named = interactions.length;
  if (people.length === 1 && things.length + named === 0) {
    return { kind: "user", fields: people[0] };
  }
  if (things.length === 1 && people.length + named === 0) {
    return { kind: "item", fields: things[0] };
  }
  if (people.length + things.length === 0 && named > 0 && typed.length === 0) {
    return { kind: "pairs", fields: pairs.flat() };
  }
  if (people.length + things.length === 0 && named > 0 && plain.length === 0) {
    return { kind: "typed_pairs", fields: typedPairs.flat() };
  }
  const lists = [counted(people), counted(things)].flat();
  if (typed.length === 0) {
    return { kind: "several", fields: [...lists, ...pairs.flat()] };
  }
  return { kind: "several_typed", fields: [...lists, ...counted(pairs), ...typedPairs.flat()] };
}

function counted(rows) {
  return [number(rows.length), ...rows.flat()];
}

/** Rows as bytes, sorted by them, each once. */
function ordered(rows) {
  const bytes = rows.map((row) => row.map((text) => encoder.encode(text.trim())));
  bytes.sort(compareRows);
  return bytes.filter((row, index) => index === 0 || compareRows(bytes[index - 1], row) !== 0);
}

function compareRows(left, right) {
  for (let index = 0; index < left.length; index += 1) {
    const order = compareBytes(left[index], right[index]);
    if (order !== 0) {
      return order;
    }
  }
  return 0;
}

function compareBytes(left, right) {
  const shared = Math.min(left.length, right.length);
  for (let index = 0; index < shared; index += 1) {
    if (left[index] !== right[index]) {
      return left[index] - right[index];
    }
  }
  return left.length - right.length;
}

function number(value) {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function json(part, what) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(fromBase64(part)));
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BadReceipt(`Its ${what} cannot be read.`);
  }
  return value;
}

function fromBase64(text) {
  if (!/^[\w-]*$/.test(text)) {
    throw new BadReceipt("A part of it is not base64url.");
  }
  let binary;
  try {
    binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw new BadReceipt("A part of it is not base64url.");
  }
  return Uint8Array.from(binary, (sign) => sign.charCodeAt(0));
}

function toBase64(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
