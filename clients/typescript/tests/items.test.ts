/** What is said about items. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { InvalidRequest, ItemNotFound } from "recant-client";

import { collect, failure, Fixture, READERS } from "./server.js";

const fixture = Fixture.withData();

test("an item is put, shown, changed and deleted", async () => {
  const { items } = fixture.client();
  const properties = { price: 12.5, new: true, kind: "book" };
  const timestamp = new Date("2024-01-15T12:30:00Z");
  const said = { id: "dune", title: "Dune", tags: ["b", "a"], properties, timestamp };
  const put = await items.put(said);
  assert.deepEqual([put.title, put.tags, put.hidden], ["Dune", ["a", "b"], false]);
  assert.deepEqual(put.properties, properties);
  assert(put.timestamp !== null);
  assert.deepEqual(await items.get("dune"), put);
  const changed = await items.patch("dune", { title: null, properties: { price: null, stock: 3 } });
  assert.deepEqual([changed.title, changed.tags], [null, ["a", "b"]]);
  assert.deepEqual(changed.properties, { new: true, kind: "book", stock: 3 });
  const cleared = await items.patch("dune", { tags: ["c"], timestamp: null });
  assert.deepEqual([cleared.tags, cleared.timestamp], [["c"], null]);
  const erasure = await items.delete("dune", { waitMs: 20_000 });
  assert.match((await erasure.state()).status, /forgotten|certified/);
  await failure(ItemNotFound, items.get("dune"));
});

test("a hidden item leaves the lists and returns", async () => {
  const client = fixture.client();
  const [user = ""] = READERS;
  const best = async (): Promise<string | undefined> =>
    (await client.recommend(user, { k: 1 })).items[0]?.item;
  const first = (await best()) ?? "";
  assert.equal((await client.items.hide(first)).hidden, true);
  assert.notEqual(await best(), first);
  assert.equal((await client.items.show(first)).hidden, false);
  assert.equal(await best(), first);
});

test("any id but two can be named in a path", async () => {
  const { items } = fixture.client();
  for (const id of ["a/b", "ü +&?%#", "%2F", "-", "x y", "...", "$&"]) {
    await items.put({ id, title: `called ${id}` });
    const read = await items.get(id);
    assert.deepEqual([read.id, read.title], [id, `called ${id}`]);
    await items.delete(id);
    await failure(ItemNotFound, items.get(id));
  }
  for (const id of [".", ".."]) {
    await failure(RangeError, items.put({ id }));
    assert.equal((await items.putMany([{ id }])).accepted, 1);
  }
});

test("many items are streamed and the bad ones are named", async () => {
  const { items } = fixture.client();
  const ids = Array.from({ length: 25 }, (_, index) => `many-${index}`);
  const many = ids.map((id, at) => ({ id, title: "x".repeat(at === 11 ? 2000 : 5) }));
  const written = await items.putMany(many, { batch: 10 });
  assert.equal(written.accepted, 24);
  assert.deepEqual(
    written.rejected.map(({ index }) => index),
    [11],
  );
  assert.match(written.rejected[0]?.reason ?? "", /1024 bytes/);
  const listed = (await collect(items.list({ page: 7 }))).map(({ id }) => id);
  assert.deepEqual(listed, listed.toSorted());
  assert.deepEqual(
    ids.filter((id) => !listed.includes(id)),
    ["many-11"],
  );
  assert.deepEqual(await items.putMany([]), { accepted: 0, heldBack: 0, rejected: [] });
});

test("a list of items can be filtered", async () => {
  const odd = await collect(fixture.client().items.list({ filter: '"odd" in tags' }));
  assert.equal(odd.length, 15);
  assert(odd.every(({ tags }) => tags.includes("odd")));
});

test("what cannot be said is refused", async () => {
  const { items } = fixture.client();
  const badName = items.put({ id: "x", properties: { "not a name": 1 } });
  assert.equal((await failure(InvalidRequest, badName)).code, "invalid_body");
  for (const price of [Number.NaN, Number.POSITIVE_INFINITY]) {
    await assert.rejects(async () => items.put({ id: "x", properties: { price } }), RangeError);
  }
  await assert.rejects(async () => items.put({ id: 1.5 }), RangeError);
});
