/** Lists that are arranged, and where their scores come from. */

import assert from "node:assert/strict";
import { test } from "node:test";

import {
  InvalidRequest,
  type RecommendOptions,
  type ScoredItem,
  type SimilarOptions,
} from "recant-client";

import { collect, did, failure, Fixture, READERS, until } from "./server.js";

/** The server has nothing left to learn: its lists stay as they are. */
const fixture = Fixture.withData((client) =>
  until(async () => {
    const { version, certified } = await client.model();
    return certified?.version === version && certified.eventsSince === 0;
  }),
);
const [reader = ""] = READERS;

async function wholeList(options: RecommendOptions = {}): Promise<readonly ScoredItem[]> {
  return (await fixture.client().recommend(reader, { k: 30, ...options })).items;
}

const ids = (items: readonly ScoredItem[]): string[] => items.map(({ item }) => item);

function assertNear(one: number, other: number): void {
  assert(Math.abs(one - other) < 1e-5, `${one} is not ${other}`);
}

test("a boost is added to the score", async () => {
  const plain = await wholeList();
  const first = plain[0];
  const last = plain.at(-1);
  assert(first !== undefined && last !== undefined);
  const boosts = { [first.item]: -10, [last.item]: 10, "nobody-touched-it": 1 };
  const boosted = await wholeList({ boosts });
  const between = ids(plain).slice(1, -1);
  assert.deepEqual(ids(boosted), [last.item, ...between, first.item]);
  const added = boosted.map(({ boost }) => boost);
  assert.deepEqual(added, [10, ...between.map(() => 0), -10]);
  assertNear(boosted[0]?.score ?? 0, last.score + 10);
  assert.deepEqual(await wholeList({ boosts: { 4711: 1 } }), plain);
});

test("pins come first if they may be in the list", async () => {
  const plain = ids(await wholeList());
  const [, , , third = "", , fifth = ""] = plain;
  const [{ item: had } = { item: "" }] = await did(fixture.client(), reader);
  const pins = [fifth, had, "nobody-touched-it", third];
  const pinned = await wholeList({ pins });
  const rest = plain.filter((item) => !pins.includes(item));
  assert.deepEqual(ids(pinned), [fifth, third, ...rest]);
  const marks = pinned.map(({ pinned }) => pinned);
  assert.deepEqual(marks, [true, true, ...rest.map(() => false)]);
  const seenToo = await wholeList({ pins, excludeSeen: false });
  assert.deepEqual(ids(seenToo).slice(0, 3), [fifth, had, third]);
});

test("diversity orders anew and says of how many", async () => {
  const plain = await wholeList();
  const diverse = ids(await wholeList({ diversity: 0.9 }));
  assert.notDeepEqual(diverse, ids(plain));
  assert.deepEqual(diverse.toSorted(), ids(plain).toSorted());
  assert.deepEqual(await wholeList({ diversity: 0 }), plain);
  const client = fixture.client();
  const asked = { k: 5, diversity: 0.9, explain: true };
  const { items, explanation } = await client.recommend(reader, asked);
  assert.deepEqual(ids(items), diverse.slice(0, 5));
  assert.deepEqual([explanation?.poolSize, explanation?.poolProven], [plain.length, true]);
  const without = (await client.recommend(reader, { explain: true })).explanation;
  assert.deepEqual([without?.poolSize, without?.poolProven], [null, null]);
});

test("similar items are as diverse as asked", async () => {
  const client = fixture.client();
  const similar = async (options: SimilarOptions): Promise<readonly ScoredItem[]> =>
    (await client.similar("i2", { k: 30, ...options })).items;
  const plain = await similar({});
  const diverse = await similar({ diversity: 0.9 });
  assert.notDeepEqual(ids(diverse), ids(plain));
  assert.deepEqual(ids(diverse).toSorted(), ids(plain).toSorted());
  assert.deepEqual(diverse[0], plain[0]);
  assert.deepEqual(await similar({ diversity: 0 }), plain);
  const whole = await similar({ diversity: 0.9, exclude: ["i1"] });
  const page = await similar({ diversity: 0.9, exclude: ["i1"], k: 5, offset: 3 });
  assert.deepEqual(page, whole.slice(3, 8));
  const refused = await failure(InvalidRequest, similar({ diversity: -0.5 }));
  assert.match(refused.detail, /diversity/);
});

test("lists of sessions and of many are arranged, too", async () => {
  const client = fixture.client();
  const history = ["i1", "i8"];
  const [eighth, ninth] = (await client.recommendSession(history, { k: 30 })).items.slice(8);
  assert(eighth !== undefined && ninth !== undefined);
  const asked = { k: 2, boosts: { [ninth.item]: 10 }, pins: [eighth.item] };
  const top = [eighth.item, ninth.item];
  const session = await client.recommendSession(history, { diversity: 0.1, ...asked });
  assert.deepEqual(ids(session.items), top);
  const many = await collect(client.recommendMany(READERS, { excludeSeen: false, ...asked }));
  assert.deepEqual(
    many.map(({ items }) => ids(items)),
    READERS.map(() => top),
  );
});

test("a score is the sum of what the items of the history bring", async () => {
  const client = fixture.client();
  const had = (await did(client, reader)).map(({ item }) => item);
  const [first = ""] = ids(await wholeList());
  for (const item of await wholeList({ explain: true, boosts: { [first]: 0.25 } })) {
    assert(item.because?.length === 5 && item.others !== null);
    assert(item.because.every(({ item }) => had.includes(item)));
    assert(item.because.every(({ item, title }) => title === `Item ${item.slice(1)}`));
    const sizes = item.because.map(({ share }) => Math.abs(share));
    assert.deepEqual(
      sizes,
      sizes.toSorted((one, two) => two - one),
    );
    const named = item.because.reduce((sum, { share }) => sum + share, 0);
    assertNear(named + item.others + item.boost, item.score);
  }
  const session = await client.recommendSession(["i1", "i8"], { explain: true, because: 1 });
  assert(session.items.every(({ because }) => because?.length === 1));
  const none = await wholeList({ explain: true, because: 0 });
  assert(none.every(({ because }) => because?.length === 0));
  assert((await wholeList()).every(({ because, others }) => because === null && others === null));
  const popular = await client.recommend("nobody-knows-them", { explain: true });
  assert.deepEqual([popular.source, popular.items[0]?.because], ["popular", null]);
});

test("what is out of bounds is refused", async () => {
  const client = fixture.client();
  const wrong: [RegExp, RecommendOptions][] = [
    [/boosts/, { boosts: { i1: 1e7 } }],
    [/pins/, { pins: ["i1", "i1"] }],
    [/diversity/, { diversity: 1.5 }],
    [/because/, { because: 3 }],
    [/because/, { because: 1001, explain: true }],
  ];
  for (const [field, options] of wrong) {
    assert.match((await failure(InvalidRequest, client.recommend(reader, options))).detail, field);
  }
  await failure(RangeError, client.recommend(reader, { boosts: { i1: Number.POSITIVE_INFINITY } }));
});
