/** Keys, health, the model and the end of a call that is not wanted any more. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, Forbidden, Unauthenticated } from "recant-client";

import { collect, ERASER, failure, Fixture, READER, READERS } from "./server.js";

const fixture = Fixture.withData();
const [user = ""] = READERS;

test("a key opens what its role allows", async () => {
  const reader = fixture.client({ apiKey: READER });
  assert((await reader.recommend(user)).items.length > 0);
  assert.equal((await failure(Forbidden, reader.eraseUser(user))).code, "forbidden");
  const eraser = fixture.client({ apiKey: ERASER });
  await failure(Forbidden, collect(eraser.export(user)));
});

test("a wrong key and none open nothing", async () => {
  for (const apiKey of ["a-key-that-nobody-has", undefined]) {
    const stranger = new Client(fixture.url, { apiKey });
    assert.equal((await failure(Unauthenticated, stranger.model())).status, 401);
    await failure(Unauthenticated, stranger.eraseUser(user));
    await failure(Unauthenticated, stranger.recommend(user));
  }
});

test("an erasure is shown to the key that asked for it", async () => {
  const eraser = fixture.client({ apiKey: ERASER });
  const erasure = await eraser.eraseUser(fixture.somebody());
  assert.equal((await erasure.verifiedReceipt()).erasureId, erasure.id);
  const listed = await collect(eraser.erasures.list());
  assert.deepEqual(
    listed.map(({ id }) => id),
    [erasure.id],
  );
});

test("the service says how it is without a key", async () => {
  const anybody = new Client(fixture.url);
  assert.deepEqual(await anybody.health(), { alive: true, ready: true, reason: null });
  await anybody.waitUntilReady({ timeoutMs: 5_000 });
  assert.equal((await anybody.jwks()).keys.length, 1);
});

test("the live model is described", async () => {
  const model = await fixture.client().model();
  assert.deepEqual([model.kind, model.hyperParameters["dim"]], ["ials", model.dim]);
  assert(model.users > 0 && model.items > 0 && model.interactions > 0);
  assert(model.certified !== null && model.certified.ageSeconds >= 0);
});

test("a call ends when it is not wanted any more", async () => {
  const reason = new Error("not wanted any more");
  const client = fixture.client();
  const signal = AbortSignal.abort(reason);
  await assert.rejects(client.recommend(user, { signal }), reason);
  await assert.rejects(client.waitUntilReady({ signal }), reason);
  const controller = new AbortController();
  const erasure = await client.eraseUser("nobody-knows-them");
  const waiting = erasure.verifiedReceipt({ signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await erasure.waitUntilCertified();
});
