/** Items that nobody has touched, in the lists of a server that lists them. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { ScoredItem } from "recant-client";

import { collect, Fixture, ITEMS, READERS, until } from "./server.js";

const fixture = Fixture.withData(undefined, "[content]\nenabled = true\nrefresh_seconds = 1\n");
const [reader = ""] = READERS;

const sources = (items: readonly ScoredItem[]): Record<string, string | null> =>
  Object.fromEntries(items.map(({ item, source }) => [item, source]));

test("an item says that its score comes from what is said about it", async () => {
  const client = fixture.client();
  await client.items.put({ id: "untouched", title: "Untouched", tags: ["even"] });
  const whole = async (): Promise<Record<string, string | null>> =>
    sources((await client.recommend(reader, { k: 2 * ITEMS, excludeSeen: false })).items);
  await until(async () => "untouched" in (await whole()));
  const touched = Array.from({ length: ITEMS }, (_, item) => [`i${item}`, null]);
  assert.deepEqual(await whole(), { ...Object.fromEntries(touched), untouched: "content" });
  const session = await client.recommendSession(["i2"], { allow: ["untouched", "i4"] });
  assert.deepEqual(sources(session.items), { untouched: "content", i4: null });
  const [many] = await collect(client.recommendMany([reader], { allow: ["untouched"] }));
  assert.deepEqual(
    many?.items.map(({ source, title }) => [source, title]),
    [["content", "Untouched"]],
  );
  assert((await client.similar("i2")).items.every(({ source }) => source === null));
});
