/** Erasures: from a name to a receipt that holds. */

import assert from "node:assert/strict";
import { inspect } from "node:util";
import { test } from "node:test";

import {
  checkChain,
  ErasureNotFound,
  IdempotencyKeyReused,
  InvalidRequest,
  isAbout,
  ReceiptError,
  verifyReceipt,
  WaitTimeout,
  type Erasure,
  type Receipt,
} from "recant-client";

import { agrees } from "./jose.js";
import { collect, did, failure, Fixture } from "./server.js";

const fixture = Fixture.withData();

test("a user is erased, and the receipt says so", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  assert((await collect(client.export(user))).length > 0);
  const erasure = await client.eraseUser(user);
  assert.deepEqual(await collect(client.export(user)), []);
  const forgotten = await erasure.waitUntilForgotten({ timeoutMs: 30_000 });
  assert(forgotten.forgottenAt !== null && forgotten.modelVersionAfter !== null);
  assert.equal((await client.recommend(user)).source, "popular");
  const certified = await erasure.waitUntilCertified({ timeoutMs: 60_000 });
  assert(certified.status === "certified" && certified.certificate !== null);
  const receipt = await erasure.verifiedReceipt();
  assert.deepEqual([receipt.kind, receipt.erasureId], ["user", erasure.id]);
  assert(receipt.certificate.isProof);
  assert(receipt.acceptedAt <= receipt.forgottenAt && receipt.forgottenAt <= receipt.certifiedAt);
  assert.deepEqual(receipt.acceptedAt, erasure.accepted.acceptedAt);
  assert.equal(receipt.compact, (await client.receipt(erasure.id)).trim());
  assert(await agrees(receipt, await client.jwks()), "another library reads the same");
});

test("every kind of name has a receipt about it", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  await client.items.put({ id: "short-lived" });
  const pairs = ["i1", "i2", "i1"].map((item) => ({ user, item }));
  const erasures: [string, Erasure][] = [
    ["pairs", await client.eraseInteractions(pairs)],
    ["item", await client.eraseItem("no-such-item")],
    ["item", await client.items.delete("short-lived")],
    ["user", await client.eraseUser(" nobody\u00a0\u0085")],
    ["user", await client.eraseUser(4711)],
    [
      "several",
      await client.erase({
        users: ["z", "é", "a", "z"],
        items: ["none-such", "\u{1f600}", "\uffff"],
        interactions: [
          { user: "b", item: "y" },
          { user: "b", item: "x" },
        ],
      }),
    ],
  ];
  const receipts: Receipt[] = [];
  for (const [kind, erasure] of erasures) {
    const receipt = await erasure.verifiedReceipt();
    assert.equal(receipt.kind, kind);
    assert(!(await isAbout(receipt, erasure.receiptSalt ?? "", { users: ["somebody else"] })));
    receipts.push(receipt);
  }
  const chain = checkChain(receipts);
  assert(chain.holds && chain.links >= receipts.length - 1 - chain.gaps.length);
});

test("pairs leave the rest of a user", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  const before = (await did(client, user)).map(({ item }) => item);
  const pairs = before.slice(0, 3).map((item) => ({ user, item }));
  await client.eraseInteractions(pairs, { waitMs: 30_000 });
  const rest = (await did(client, user)).map(({ item }) => item);
  assert.deepEqual(rest, before.slice(3));
});

test("whoever waits is answered when the model has forgotten", async () => {
  const erasure = await fixture.client().eraseUser(fixture.somebody(), { waitMs: 30_000 });
  assert.match(erasure.accepted.status, /forgotten|certified/);
});

test("the same key is the same erasure", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  const idempotencyKey = `a key for ${user}`;
  const first = await client.eraseUser(user, { idempotencyKey });
  const second = await client.eraseUser(user, { idempotencyKey });
  assert.deepEqual([first.id, first.receiptSalt], [second.id, second.receiptSalt]);
  assert.equal(first.idempotencyKey, idempotencyKey);
  assert.notEqual((await client.eraseUser(user)).id, first.id);
  await failure(IdempotencyKeyReused, client.eraseItem("i1", { idempotencyKey }));
});

test("a wait that is too short says how far it came", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  let erasure = await client.eraseUser(user);
  let early: unknown;
  while (!(early instanceof WaitTimeout)) {
    // The first look may come too late: the next erasure is caught earlier.
    erasure = await client.eraseUser(user);
    early = await erasure.waitUntilCertified({ timeoutMs: 0 }).catch((error: unknown) => error);
  }
  assert.match(early.message, /not certified yet/);
  assert.equal(early.state.id, erasure.id);
  assert.equal((await erasure.waitUntilCertified()).status, "certified");
});

test("erasures are listed newest first", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  const first = await client.eraseInteractions([{ user, item: "i1" }]);
  const last = await client.eraseInteractions([{ user, item: "i2" }]);
  await last.waitUntilCertified();
  const ids = (await collect(client.erasures.list({ page: 2 }))).map(({ id }) => id);
  assert(ids.includes(last.id) && ids.indexOf(last.id) < ids.indexOf(first.id));
  const certified = await collect(client.erasures.list({ status: "certified" }));
  assert(certified.some(({ id }) => id === last.id));
  assert(certified.every(({ status }) => status === "certified"));
  assert.equal((await client.erasures.get(first.id)).id, first.id);
});

test("what is no erasure is not found", async () => {
  const client = fixture.client();
  await failure(ErasureNotFound, client.erasures.get("019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a"));
  const wrong = await failure(InvalidRequest, client.erasures.get("../model"));
  assert.equal(wrong.code, "invalid_erasure_id");
  assert.match((await failure(RangeError, client.erase({ users: [] }))).message, /nothing/);
});

test("a receipt is refused under other keys and when it was changed", async () => {
  const client = fixture.client();
  const erasure = await client.eraseUser(fixture.somebody());
  const receipt = await erasure.verifiedReceipt();
  const jwks = await client.jwks();
  assert.deepEqual(await verifyReceipt(receipt.compact, jwks), receipt);
  assert.deepEqual(await erasure.verifiedReceipt({ jwks }), receipt);
  const without = await failure(ReceiptError, erasure.verifiedReceipt({ jwks: { keys: [] } }));
  assert.match(without.message, /not among/);
  const [head, claims = "", signature] = receipt.compact.split(".");
  for (let at = 0; at < claims.length; at += 101) {
    const other = claims[at] === "A" ? "B" : "A";
    const changed = claims.slice(0, at) + other + claims.slice(at + 1);
    await failure(ReceiptError, verifyReceipt(`${head}.${changed}.${signature}`, jwks));
  }
});

test("nothing of whom it is about is shown", async () => {
  const user = `${fixture.somebody()}-and-more`;
  const erasure = await fixture.client().eraseUser(user);
  const shown = inspect([erasure, await erasure.state()], { depth: 9 }) + JSON.stringify(erasure);
  assert(shown.includes(erasure.id));
  assert(erasure.receiptSalt !== null && !shown.includes(erasure.receiptSalt));
  assert(!shown.includes(user));
});
