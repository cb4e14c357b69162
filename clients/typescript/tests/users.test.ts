/** What is said about people, and of whom anything is held. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Forbidden, InvalidRequest, isAbout, UserNotFound } from "recant-client";

import { collect, did, failure, Fixture, READER } from "./server.js";

const fixture = Fixture.withData();
const SAID = { city: "Turin", age: 41, height: 1.68, member: true };

test("what is said about somebody is kept, exported and erased with them", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  const held = await did(client, user);
  assert.deepEqual(await client.putUser(user, SAID), SAID);
  const expected = { user, properties: SAID, interactions: held.length, restricted: false };
  assert.deepEqual(await client.user(user), expected);
  const [first, ...rest] = await collect(client.export(user));
  assert(first !== undefined && !("item" in first));
  assert.deepEqual([first.user, first.properties], [user, SAID]);
  assert.deepEqual(rest, held);
  await client.eraseUser(user);
  assert.deepEqual(await collect(client.export(user)), []);
  await failure(UserNotFound, client.user(user));
});

test("somebody of whom nothing else is held is there until nothing is said", async () => {
  const client = fixture.client();
  for (const user of ["a/b+c", "\u00fc +&?%#", 7]) {
    await client.putUser(user, SAID);
    const expected = {
      user: String(user),
      properties: SAID,
      interactions: 0,
      restricted: false,
    };
    assert.deepEqual(await client.user(user), expected);
    const listed = await collect(client.users({ page: 7 }));
    assert(listed.some((some) => some.user === String(user)));
    assert.deepEqual(await client.putUser(user, {}), {});
    await failure(UserNotFound, client.user(user));
  }
});

test("somebody is restricted, kept, and processed again", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  const held = await did(client, user);
  const restriction = await client.restrict([user], { waitMs: 30_000 });
  const state = await restriction.waitUntilCertified();
  assert.deepEqual([state.kind, state.erasedAt], ["restriction", null]);
  assert(state.restrictedAt !== null);
  const receipt = await restriction.verifiedReceipt();
  assert.deepEqual([receipt.kind, receipt.erasedAt], ["restriction", null]);
  const salt = restriction.receiptSalt ?? "";
  assert(!(await isAbout(receipt, salt, { users: [user] })), "it is no erasure");
  assert.equal((await client.recommend(user)).source, "popular");
  const { restricted, interactions } = await client.user(user);
  assert.deepEqual([restricted, interactions], [true, held.length]);
  const [first, ...rest] = await collect(client.export(user));
  assert(first !== undefined && "restricted" in first && first.restricted);
  const ids = (rows: readonly object[]): unknown[] => rows.map((row) => "item" in row && row.item);
  assert.deepEqual(ids(rest).toSorted(), ids(held).toSorted());
  assert((await client.liftRestrictions([user])) instanceof Date);
  assert(!(await client.user(user)).restricted);
  await assert.rejects(async () => client.restrict([]), RangeError);
});

test("everybody is listed once, in order", async () => {
  const users = (await collect(fixture.client().users({ page: 50 }))).map(({ user }) => user);
  assert(users.length > 100);
  assert.deepEqual(users, [...new Set(users)].toSorted());
});

test("what cannot be said is refused, and who may not see it does not", async () => {
  const client = fixture.client();
  const badName = client.putUser("ada", { "not a name": 1 });
  assert.equal((await failure(InvalidRequest, badName)).code, "invalid_body");
  await assert.rejects(async () => client.putUser("ada", { age: Number.NaN }), RangeError);
  const reader = fixture.client({ apiKey: READER });
  await failure(Forbidden, reader.user("ada"));
  await failure(Forbidden, reader.putUser("ada", SAID));
  await failure(Forbidden, collect(reader.users()));
});
