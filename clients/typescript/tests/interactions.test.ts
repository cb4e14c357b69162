/** What people did: added, exported, held back. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { RowsRejected, type Interaction } from "recant-client";

import { collect, did, failure, Fixture, later, READERS, until } from "./server.js";

const fixture = Fixture.withData();
const DAY_MS = 24 * 60 * 60 * 1000;

test("an interaction is exported as it was added", async () => {
  const client = fixture.client();
  const when = new Date(Date.now() - DAY_MS);
  const added = await client.interactions.add({
    user: "added",
    item: "i3",
    weight: 2.5,
    timestamp: when,
  });
  assert.deepEqual(added, { accepted: 1, heldBack: 0, rejected: [] });
  await client.interactions.add({ user: "added", item: "i4" });
  await until(async () => (await collect(client.export("added"))).length === 2);
  const held = new Map((await did(client, "added")).map((row) => [row.item, row]));
  assert.deepEqual([held.get("i3")?.weight, held.get("i3")?.title], [2.5, "Item 3"]);
  assert(typeof held.get("i3")?.timestamp === "number");
  assert.equal(held.get("i4")?.timestamp, null);
  assert.deepEqual(await collect(client.export("nobody-knows-them")), []);
});

test("a row that is not taken is an error", async () => {
  const { interactions } = fixture.client();
  const bad = interactions.add({ user: "ada", item: "i3", weight: -1 });
  const refused = await failure(RowsRejected, bad);
  assert.match(refused.message, /weight/);
  assert(!refused.message.includes("ada"));
  assert.equal(refused.written.rejected[0]?.index, 0);
});

test("many interactions are streamed and the bad ones are named", async () => {
  const client = fixture.client();
  function* rows(): Generator<Interaction> {
    for (let index = 0; index < 30; index += 1) {
      const weight = index === 4 || index === 21 ? 0 : undefined;
      yield { user: "streamed", item: `i${index}`, weight };
    }
  }
  for (const source of [rows(), later(rows())]) {
    const written = await client.interactions.addMany(source, { batch: 7 });
    assert.deepEqual([written.accepted, written.heldBack], [28, 0]);
    assert.deepEqual(
      written.rejected.map(({ index }) => index),
      [4, 21],
    );
  }
  await until(async () => (await collect(client.export("streamed"))).length === 28);
});

test("what was erased is held back when an old batch brings it again", async () => {
  const client = fixture.client();
  const user = fixture.somebody();
  await client.eraseUser(user, { waitMs: 20_000 });
  const timestamp = new Date(Date.now() - 400 * DAY_MS);
  const old = [
    { user, item: "i1", timestamp },
    { user, item: "i2" },
  ];
  const written = await client.interactions.addMany(old);
  assert.deepEqual([written.accepted, written.heldBack], [1, 1]);
  const held = async (): Promise<string> =>
    (await did(client, user)).map(({ item }) => item).join();
  await until(async () => (await held()) === "i2");
});

test("types of feedback are told apart", async () => {
  const client = fixture.client();
  const user = "typed";
  await client.interactions.add({ user, item: "i3", type: "view", weight: 2 });
  await client.interactions.addMany([
    { user, item: "i3" },
    { user, item: "i5", type: "dislike" },
  ]);
  const held = async (): Promise<string[]> => {
    const rows = await did(client, user);
    return rows.map(({ item, type, weight }) => `${item} ${type} ${weight}`).sort();
  };
  const all = ["i3 interaction 1", "i3 view 2", "i5 dislike 1"];
  await until(async () => (await held()).join() === all.join());
  const unheardOf = client.interactions.add({ user, item: "i3", type: "unheard-of" });
  assert.match((await failure(RowsRejected, unheardOf)).message, /type/);
  const erasure = await client.eraseInteractions([{ user, item: "i3", type: "view" }]);
  assert.deepEqual(await held(), [all[0], all[2]]);
  assert.equal((await erasure.verifiedReceipt()).kind, "typed_pairs");
  const rest = await client.erase({
    users: ["nobody"],
    interactions: [
      { user, item: "i3" },
      { user, item: "i5", type: "dislike" },
    ],
  });
  assert.equal((await rest.verifiedReceipt()).kind, "several_typed");
  assert.deepEqual(await held(), []);
});

test("an export comes in rows whatever the fetch prefers", async () => {
  const preferring: typeof fetch = (input, init) => {
    const headers = new Headers({ accept: "application/json" });
    new Headers(init?.headers).forEach((value, name) => headers.set(name, value));
    return fetch(input, { ...init, headers });
  };
  const [reader = ""] = READERS;
  const rows = await collect(fixture.client({ fetch: preferring }).export(reader));
  assert(rows.length > 1);
  assert.deepEqual(rows, await collect(fixture.client().export(reader)));
});

test("whoever has seen enough of an export leaves it", async () => {
  const client = fixture.client();
  for await (const row of client.export(fixture.somebody())) {
    assert("item" in row);
    break;
  }
  assert((await client.health()).ready);
});
