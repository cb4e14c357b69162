/** Receipts that never came from a service: forged, mangled, out of order. */

import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign as signBytes } from "node:crypto";
import { test } from "node:test";

import {
  checkChain,
  commitment,
  isAbout,
  owedBy,
  ReceiptError,
  verifyReceipt,
  verifySettlement,
} from "recant-client";
import type { Names, Receipt, Settlement } from "recant-client";

import { accepts } from "./jose.js";
import { failure } from "./server.js";

const SEED = Buffer.from(Array.from({ length: 32 }, (_, byte) => byte));
const SALT = SEED.toString("base64url");
/** What stands before the seed in PKCS #8 (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SECRET = createPrivateKey({
  key: Buffer.concat([PKCS8, SEED]),
  format: "der",
  type: "pkcs8",
});
const X = createPublicKey(SECRET).export({ format: "jwk" }).x ?? "";
const KEY_ID = createHash("sha256")
  .update(`{"crv":"Ed25519","kty":"OKP","x":"${X}"}`)
  .digest("base64url");
const KEY = { kty: "OKP", crv: "Ed25519", x: X };
const JWKS = { keys: [{ kty: "RSA" }, "no key", null, { ...KEY, kid: "whatever" }] };
const HEAD = { alg: "EdDSA", typ: "recant-receipt+jwt", kid: KEY_ID };

const TIME = "2026-01-31T12:00:00.000Z";
const CLAIMS = {
  iss: "recant",
  iat: 1_700_000_000,
  jti: "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a",
  kind: "user",
  pairs: null,
  commitment: {
    method: "recant-erasure-commitment-1+HMAC-SHA-256",
    value: "jbCb3QNXfGSXzYI9sorqOh5tK2uVJRq6nNH0OFuNnxI",
  },
  accepted_at: TIME,
  erased_at: TIME,
  forgotten_at: TIME,
  certified_at: TIME,
  model_version_before: 3,
  model_version_after: 3,
  model_version_certified: 3,
  certificate: { kind: "residual", residual: 1e-5, tolerance: 1e-4, note: 'a "note": measured' },
  generation: 1,
  scan: { method: "records", clean: true },
  sequence: 1,
  previous: null,
  "new in a later version": {},
};

function sign(head: unknown, payload: unknown): string {
  const parts = [head, payload].map((part) => {
    return Buffer.from(typeof part === "string" ? part : JSON.stringify(part)).toString(
      "base64url",
    );
  });
  const signed = parts.join(".");
  return `${signed}.${signBytes(null, Buffer.from(signed), SECRET).toString("base64url")}`;
}

function receipt(changed: object = {}): Promise<Receipt> {
  return verifyReceipt(sign(HEAD, { ...CLAIMS, ...changed }), JWKS);
}

test("a receipt that holds is read", async () => {
  const read = await receipt();
  assert.deepEqual([read.issuer, read.keyId, read.sequence], ["recant", KEY_ID, 1]);
  assert.deepEqual(read.signedAt, new Date(1_700_000_000_000));
  assert.deepEqual([read.certificate.isGood, read.certificate.isProof], [true, false]);
  assert("new in a later version" in read.claims);
  assert(await isAbout(read, SALT, { users: ["ada"] }));
  assert(!(await isAbout(read, SALT, { users: ["bob"] })));
  assert(!(await isAbout(await receipt({ commitment: null }), SALT, { users: ["ada"] })));
});

test("a certificate is good when its numbers are, whatever it says of itself", async () => {
  const bound = { kind: "duality_gap", holds: true, target: 1e-4, root_mean_square: 1e-5 };
  const isProof = async (changed: object): Promise<boolean> => {
    return (await receipt({ certificate: { ...bound, ...changed } })).certificate.isProof;
  };
  assert(await isProof({}));
  for (const worse of [{ root_mean_square: 1e-3 }, { holds: false }, { target: null }]) {
    assert(!(await isProof(worse)));
  }
  assert(!(await isProof({ root_mean_square: null, residual: 0 })));
});

test("the commitment is the one that the documentation shows", async () => {
  const { value } = CLAIMS.commitment;
  assert.equal(await commitment(SALT, { users: ["ada"] }), value);
  assert.equal(await commitment(SALT, { users: ["\ufeff\u0085 ada\u3000"] }), value);
  assert.notEqual(await commitment(SALT, { items: ["ada"] }), value);
  const pairs = [
    { user: "b", item: "x" },
    { user: "a", item: "y" },
    { user: "a", item: "x" },
  ];
  const again: Names = { interactions: [...pairs.toReversed(), { user: "b", item: "x" }] };
  assert.equal(await commitment(SALT, again), await commitment(SALT, { interactions: pairs }));
  await failure(RangeError, commitment("too short", { users: ["ada"] }));
});

test("a receipt of a restriction says so, and is none of an erasure", async () => {
  const value = "1Gs24kIbclqIsn--1psdtDvzD7AnrI5aaVsuVHAINag";
  const users = { users: [" ada ", "ada"] };
  assert.equal(await commitment(SALT, users, "restriction"), value);
  const said = { method: CLAIMS.commitment.method, value };
  const changed = { kind: "restriction", commitment: said, restricted_at: TIME };
  const kept = await receipt({ ...changed, erased_at: null });
  assert.deepEqual([kept.erasedAt, kept.restrictedAt], [null, new Date(TIME)]);
  assert(await isAbout(kept, SALT, users, "restriction"));
  assert(!(await isAbout(kept, SALT, users)));
  for (const bad of [changed, { ...changed, kind: "user" }, { erased_at: null }]) {
    await failure(ReceiptError, receipt(bad));
  }
  await failure(RangeError, commitment(SALT, { items: ["ada"] }, "restriction"));
});

const HEADS: unknown[] = [
  { ...HEAD, alg: "none" },
  { ...HEAD, alg: "HS256" },
  { ...HEAD, typ: "JWT" },
  { ...HEAD, crit: ["exp"], exp: 1 },
  { ...HEAD, kid: "of-another-key" },
  { alg: "EdDSA", typ: "recant-receipt+jwt" },
  [],
  "not json",
  JSON.stringify(HEAD).replace("{", '{"alg":"none",'),
];

test("another header is refused", async () => {
  for (const head of HEADS) {
    await failure(ReceiptError, verifyReceipt(sign(head, CLAIMS), JWKS));
  }
});

const CHANGES: object[] = [
  { sequence: 0 },
  { sequence: 2 },
  { sequence: true },
  { sequence: 1.5 },
  { previous: "a-hash" },
  { iss: 7 },
  { iat: 1e30 },
  { accepted_at: "yesterday" },
  { accepted_at: "2026-01-31T12:00:00" },
  { accepted_at: "2026-13-31T12:00:00Z" },
  { certificate: null },
  { commitment: { method: "another", value: "x" } },
];

test("claims that are not those of a receipt are refused", async () => {
  for (const changed of CHANGES) {
    await failure(ReceiptError, receipt(changed));
  }
});

test("claims that say two things are refused", async () => {
  const text = JSON.stringify(CLAIMS);
  assert.equal((await verifyReceipt(sign(HEAD, text), JWKS)).kind, "user");
  for (const [found, twice] of [
    ['"kind":"user"', '"kind":"item","kind":"user"'],
    ['"clean":true', '"clean":false,"clean" : true'],
    ['"clean":true', '"cle\\u0061n":false,"clean":true'],
  ] as const) {
    await failure(ReceiptError, verifyReceipt(sign(HEAD, text.replace(found, twice)), JWKS));
  }
});

test("a text with a second form is refused", async () => {
  const good = sign(HEAD, CLAIMS);
  assert.equal((await verifyReceipt(`  ${good}\n`, JWKS)).compact, good);
  const [head, body = "", signature = ""] = good.split(".");
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // The last character of 64 bytes in base64url has four bits that say nothing.
  const last = alphabet[alphabet.indexOf(signature.at(-1) ?? "") ^ 1];
  const other = Buffer.from(JSON.stringify({ ...CLAIMS, kind: "item" })).toString("base64url");
  for (const bad of [
    `${head}.${body}.${signature.slice(0, -1)}${last}`,
    `${head}.${body}.${signature}=`,
    `${head}.${body}.${signature}.`,
    `${head}.${body.slice(0, 9)}\n${body.slice(9)}.${signature}`,
    `${head}.${body}`,
    `${head}.${body}.`,
    `${head}.${body}.${signature.slice(0, -3)}`,
    `${head}.${other}.${signature}`,
    "x".repeat(70_000),
    "",
  ]) {
    await failure(ReceiptError, verifyReceipt(bad, JWKS));
  }
});

test("a signature is good when another library says so", async () => {
  const keys = { keys: [{ ...KEY, kid: KEY_ID }] };
  const good = sign(HEAD, CLAIMS);
  const [head, body, signature = ""] = good.split(".");
  const bytes = Buffer.from(signature, "base64url");
  assert(await accepts(good, keys));
  await verifyReceipt(good, keys);
  for (let bit = 0; bit < 512; bit += 37) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const bad = `${head}.${body}.${changed.toString("base64url")}`;
    assert(!(await accepts(bad, keys)));
    await failure(ReceiptError, verifyReceipt(bad, keys));
  }
});

test("a chain is checked in any order", async () => {
  const first = await receipt();
  const second = await receipt({ sequence: 2, previous: first.hash });
  const third = await receipt({ sequence: 3, previous: second.hash });
  const whole = checkChain([third, first, second, first]);
  assert.deepEqual([whole.links, whole.holds, whole.isComplete], [2, true, true]);
  const gap = checkChain([first, third]);
  assert.deepEqual([gap.gaps, gap.holds, gap.links], [[[2, 2]], true, 0]);
  assert.deepEqual(checkChain([second, third]).gaps, [[1, 1]]);
  const forged = await receipt({ sequence: 2, previous: SALT });
  assert.deepEqual(checkChain([first, forged]).broken, [2]);
  const fork = await receipt({ sequence: 2, previous: first.hash, kind: "item" });
  const forked = checkChain([first, second, fork]);
  assert.deepEqual([forked.forks, forked.holds], [[2], false]);
  assert(checkChain([]).isComplete);
});

const LOG = "01a22854-8302-77f1-9739-77d50d373e86";

function settlement(changed: object = {}): Promise<Settlement> {
  const said = {
    iss: "recant",
    iat: 1_700_000_000,
    node: "b",
    upto: 7,
    how: "caught_up",
    incarnations: [LOG],
    sequence: 1,
    previous: null,
  };
  const head = { ...HEAD, typ: "recant-settlement+jwt" };
  return verifySettlement(sign(head, { ...said, ...changed }), JWKS);
}

test("a settlement closes what a node owed and is a link of the chain", async () => {
  const among = {
    cluster: { incarnation: LOG, term: 1, entry: 7 },
    nodes: [
      { node: "a", state: "destroyed" },
      { node: "b", state: "owing" },
    ],
  };
  const alone = await receipt();
  const open = await receipt(among);
  assert.equal(alone.nodes, null);
  assert.deepEqual(owedBy(alone), []);
  assert.deepEqual(owedBy(open), ["b"]);
  const closing = await settlement({ sequence: 2, previous: open.hash });
  assert.deepEqual([closing.node, closing.upto, closing.how], ["b", 7, "caught_up"]);
  assert.deepEqual(owedBy(open, [closing]), []);
  for (const other of [{ node: "a" }, { upto: 6 }, { incarnations: ["another"] }]) {
    assert.deepEqual(owedBy(open, [await settlement(other)]), ["b"]);
  }
  const last = await receipt({ sequence: 3, previous: closing.hash });
  const whole = checkChain([open, closing, last]);
  assert.deepEqual([whole.links, whole.holds, whole.isComplete], [2, true, true]);
  assert.deepEqual(checkChain([open, last]).gaps, [[2, 2]]);
});

test("a settlement is no receipt and a receipt no settlement", async () => {
  await failure(ReceiptError, verifyReceipt((await settlement()).compact, JWKS));
  await failure(ReceiptError, verifySettlement((await receipt()).compact, JWKS));
  for (const bad of [{ sequence: 2 }, { upto: "7" }, { incarnations: LOG }, { node: null }]) {
    await failure(ReceiptError, settlement(bad));
  }
  await failure(ReceiptError, receipt({ nodes: [{ node: "a", state: "owing" }] }));
});
