/** Lists for nobody in particular. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { InvalidRequest, type ItemList } from "recant-client";

import { failure, Fixture, READERS, until } from "./server.js";

const DAY_MS = 24 * 60 * 60 * 1000;

const [reader = "", ...others] = READERS;
/** What few people wanted today, and some more, and what most did ten days ago. */
const allow = ["few", "some", "old"];

const fixture = Fixture.withData(async (client) => {
  const now = new Date();
  const ago = new Date(now.getTime() - 10 * DAY_MS);
  await client.interactions.addMany([
    { user: reader, item: "few", timestamp: now },
    ...[reader, ...others.slice(0, 1)].map((user) => ({ user, item: "some", timestamp: now })),
    ...others.slice(0, 3).map((user) => ({ user, item: "old", timestamp: ago })),
  ]);
  await until(async () => (await client.popular({ allow })).items.length === 3);
});

const ids = ({ items }: ItemList): string[] => items.map(({ item }) => item);

const scores = ({ items }: ItemList): Record<string, number> =>
  Object.fromEntries(items.map(({ item, score }) => [item, score]));

test("what most people wanted is first, of all time or of a window", async () => {
  const client = fixture.client();
  const whole = await client.popular({ allow });
  assert.deepEqual(ids(whole), ["old", "some", "few"]);
  assert.deepEqual(scores(whole), { old: 3, some: 2, few: 1 });
  assert(whole.modelVersion >= 1 && whole.items[0]?.title === null);
  const ofLate = await client.popular({ window: "2d", allow });
  assert.deepEqual(ids(ofLate), ["some", "few"]);
  assert.deepEqual(scores(ofLate), { some: 2, few: 1 });
  assert.deepEqual(ids(await client.popular({ allow, k: 1, offset: 1 })), ["some"]);
  assert.deepEqual(ids(await client.popular({ user: reader, allow })), ["old"]);
});

test("somebody counts the less the longer ago it was", async () => {
  const client = fixture.client();
  const quick = await client.trending({ halfLife: "12h", allow });
  assert.deepEqual(ids(quick), ["some", "few", "old"]);
  const { old = 0 } = scores(quick);
  assert(old > 0 && old < 0.01);
  const slow = await client.trending({ halfLife: "3650d", allow });
  assert.deepEqual(ids(slow), ["old", "some", "few"]);
  assert.deepEqual(ids(await client.trending({ window: "2d", user: reader, allow })), []);
});

test("the latest are first, whether or not anybody wanted them", async () => {
  const client = fixture.client();
  const seconds = Math.floor(Date.now() / 1000);
  const day = DAY_MS / 1000;
  await client.items.put({ id: "few", title: "A few", timestamp: seconds - day });
  await client.items.put({ id: "old", timestamp: seconds - 100 * day });
  await client.items.put({ id: "some", timestamp: seconds + day });
  await client.items.put({ id: "new", timestamp: new Date(seconds * 1000) });
  const { items } = await client.latest();
  assert.deepEqual(items, [
    { item: "new", score: seconds, title: null },
    { item: "few", score: seconds - day, title: "A few" },
    { item: "old", score: seconds - 100 * day, title: null },
  ]);
  assert.deepEqual(ids(await client.latest({ window: "7d" })), ["new", "few"]);
  assert.deepEqual(ids(await client.latest({ user: reader })), ["new", "old"]);
});

test("spans that are none or out of bounds are refused", async () => {
  const client = fixture.client();
  for (const window of ["1 month", "seven days", "5m", "-1d"]) {
    const refused = await failure(InvalidRequest, client.popular({ window }));
    assert.match(refused.detail, /window/);
  }
  const refused = await failure(InvalidRequest, client.trending({ halfLife: "4000d" }));
  assert.match(refused.detail, /half_life/);
  // @ts-expect-error Only what is trending decays.
  await failure(InvalidRequest, client.popular({ halfLife: "1d" }));
});
