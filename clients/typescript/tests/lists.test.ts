/** Recommendations, similar items, and lists for nobody in particular. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { InvalidFilter, InvalidRequest, ItemNotFound, type RecommendOptions } from "recant-client";

import { collect, did, failure, Fixture, later, READERS, until } from "./server.js";

const fixture = Fixture.withData();
const [reader = "", another = "", third = ""] = READERS;

async function held(user: string): Promise<string[]> {
  return (await did(fixture.client(), user)).map(({ item }) => item);
}

test("a known user gets items best first without those they have", async () => {
  const had = await held(reader);
  const found = await fixture.client().recommend(reader, { k: 7 });
  assert.deepEqual([found.user, found.source, found.items.length], [reader, "model", 7]);
  const scores = found.items.map(({ score }) => score);
  assert.deepEqual(
    scores,
    scores.toSorted((one, two) => two - one),
  );
  assert(had.length > 0 && found.items.every(({ item }) => !had.includes(item)));
  assert(found.items.every(({ item, title }) => title === `Item ${item.slice(1)}`));
  const again = await fixture.client().recommend(reader, { k: 30, excludeSeen: false });
  const ids = again.items.map(({ item }) => item);
  assert(had.every((item) => ids.includes(item)));
});

test("somebody unknown gets what is popular", async () => {
  const client = fixture.client();
  assert.equal((await client.recommend("nobody-knows-them")).source, "popular");
  assert.equal((await client.recommend(4711)).user, "4711");
  assert.equal((await client.recommend(2n ** 60n)).user, "1152921504606846976");
  await failure(RangeError, client.recommend(2 ** 60));
});

test("a list can be explained and be that of the certified version", async () => {
  const found = await fixture.client().recommend(reader, { explain: true, asOf: "certified" });
  assert(found.explanation?.certificate?.isProof === true);
  assert(found.explanation.leadingPositionsProven <= found.items.length);
  assert.equal((await fixture.client().recommend(reader)).explanation, null);
});

test("a session is known by its items", async () => {
  const found = await fixture.client().recommendSession(["i1", "i8"], { k: 5 });
  assert.deepEqual([found.user, found.source, found.items.length], [null, "fold_in", 5]);
  assert(found.items.every(({ item }) => item !== "i1" && item !== "i8"));
});

test("filters leave what holds in the same order", async () => {
  const ids = async (options: RecommendOptions): Promise<string[]> => {
    const found = await fixture.client().recommend(reader, { excludeSeen: false, ...options });
    return found.items.map(({ item }) => item);
  };
  const whole = await ids({ k: 30 });
  const even = whole.filter((item) => Number(item.slice(1)) % 2 === 0);
  assert.deepEqual(await ids({ k: 30, tags: ["even"] }), even);
  assert.deepEqual(await ids({ k: 30, tagsNone: ["odd"] }), even);
  assert.deepEqual(await ids({ k: 30, tagsAll: ["even", "odd"] }), []);
  assert.deepEqual(await ids({ k: 30, filter: '"even" in tags' }), even);
  assert.deepEqual(await ids({ k: 30, allow: even.slice(0, 2) }), even.slice(0, 2));
  const odd = whole.filter((item) => !even.includes(item));
  assert.deepEqual(await ids({ k: 30, exclude: even }), odd);
  assert.deepEqual(await ids({ k: 4, offset: 3 }), whole.slice(3, 7));
});

test("what is wrong with a request has a class and a code", async () => {
  const client = fixture.client();
  const wrongFilter = await failure(InvalidFilter, client.recommend(reader, { filter: "tags ==" }));
  assert.deepEqual([wrongFilter.status, wrongFilter.code], [400, "invalid_filter"]);
  assert.equal(wrongFilter.type, "urn:recant:problem:invalid_filter");
  assert.match(wrongFilter.detail, /line 1/);
  assert(wrongFilter.title !== "" && wrongFilter.requestId !== null);
  const wrongNumber = await failure(InvalidRequest, client.recommend(reader, { k: 0 }));
  assert.equal(wrongNumber.code, "invalid_body");
  // @ts-expect-error A lone text is no list: its letters are hardly meant.
  await failure(InvalidRequest, client.recommend(reader, { tags: "even" }));
});

test("lists for many come in their order whatever the batch", async () => {
  const client = fixture.client();
  const users = [reader, third, third, another, "nobody-knows-them"];
  const found = await collect(client.recommendMany(later(users), { batch: 2, k: 3 }));
  assert.deepEqual(
    found.map(({ user }) => user),
    users,
  );
  assert.deepEqual(
    found.map(({ source }) => source),
    ["model", "model", "model", "model", "popular"],
  );
  const alone = await client.recommend(another, { k: 3 });
  assert.deepEqual(found[3]?.items, alone.items);
  assert.deepEqual(await collect(client.recommendMany([])), []);
});

test("similar items are found and an unknown item is not", async () => {
  const client = fixture.client();
  const found = await client.similar("i3", { k: 5 });
  assert.deepEqual([found.item, found.items.length], ["i3", 5]);
  const had = await held(reader);
  const others = await client.similar("i3", { user: reader, k: 30 });
  assert(others.items.every(({ item }) => !had.includes(item)));
  assert.equal((await failure(ItemNotFound, client.similar("no-such-item"))).status, 404);
});

test("popular items are counted", async () => {
  const client = fixture.client();
  const found = await client.popular({ k: 30 });
  const counts = found.items.map(({ score }) => score);
  assert.deepEqual(
    counts,
    counts.toSorted((one, two) => two - one),
  );
  assert(found.items.every(({ item, title }) => title === `Item ${item.slice(1)}`));
  const had = await held(reader);
  const without = await client.popular({ k: 30, user: reader });
  assert.deepEqual(
    without.items,
    found.items.filter(({ item }) => !had.includes(item)),
  );
  await failure(InvalidRequest, client.popular({ window: "for ever" }));
});

test("what happened of late is popular in a window and trends, until it is erased", async () => {
  const client = fixture.client();
  const only = { window: "1d", allow: ["trending-item"] };
  const timestamp = Math.floor(Date.now() / 1_000) - 2 * 3_600;
  await client.interactions.addMany([
    { user: "trend-1", item: "trending-item", timestamp },
    { user: "trend-2", item: "trending-item", timestamp },
  ]);
  await until(async () => (await client.popular(only)).items.length > 0);
  const found = await client.popular(only);
  assert.deepEqual(
    found.items.map(({ item, score }) => [item, score]),
    [["trending-item", 2]],
  );
  const [trending] = (await client.trending({ halfLife: "2h", ...only })).items;
  assert(trending !== undefined && trending.score > 0.5 && trending.score <= 1);
  await client.eraseItem("trending-item", { waitMs: 60_000 });
  assert.deepEqual((await client.popular(only)).items, []);
});

test("the latest items need nobody", async () => {
  const client = fixture.client();
  const timestamp = Math.floor(Date.now() / 1_000) - 60;
  await client.items.put({ id: "brand-new", timestamp });
  const { items } = await client.latest({ window: "1d" });
  assert.deepEqual(
    items.map(({ item, score }) => [item, score]),
    [["brand-new", timestamp]],
  );
  assert.deepEqual((await client.latest({ window: "1d", exclude: ["brand-new"] })).items, []);
  await client.items.delete("brand-new");
});
