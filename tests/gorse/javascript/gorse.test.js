/** The calls of gorsejs against the program that `RECANT_BINARY` names, as its own tests make them. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";

import { Gorse, GorseException } from "gorsejs";

const KEY = "key-of-the-admin";
const USERS = 60;
const ITEMS = 40;
const GENRES = ["Action", "Comedy", "Drama"];

const CONFIGURATION = `
[gorse]
enabled = true
[model]
lambda = 0.1
[feedback.types.like]
[feedback.types.read]
weight = 0.1
target = 0.0
[[access.keys]]
name = "admin"
sha256 = "${createHash("sha256").update(KEY).digest("hex")}"
roles = ["admin"]
`;

const binary = resolve(process.env["RECANT_BINARY"]);
let folder;
let server;
let url;
/** @type {Gorse<"like" | "read">} */
let client;

function user(number) {
  return { UserId: `u${number}`, Labels: [`group ${number % 3}`], Comment: "" };
}

function item(number) {
  const day = String((number % 28) + 1).padStart(2, "0");
  return {
    ItemId: `i${number}`,
    IsHidden: false,
    Labels: null,
    Categories: [GENRES[number % 3]],
    Timestamp: `2020-01-${day}T00:00:00Z`,
    Comment: `Film ${number}`,
  };
}

/** What people of a group like: films of one genre, and some of the others. */
function feedback() {
  const numbers = (length) => Array.from({ length }, (_, number) => number);
  const ofUser = (user) =>
    numbers(ITEMS)
      .filter((item) => (item % 3 === user % 3 ? (user + item) % 4 > 0 : (user * item) % 7 === 1))
      .map((item) => ({
        FeedbackType: "like",
        UserId: `u${user}`,
        ItemId: `i${item}`,
        Timestamp: "2024-01-15T12:30:00Z",
      }));
  return numbers(USERS).flatMap(ofUser);
}

/** The JSON that a path of the server itself is answered with. */
async function get(path) {
  const answer = await fetch(url + path, { headers: { "X-API-Key": KEY } });
  assert(answer.ok, `${path}: ${answer.status}`);
  return answer.headers.get("content-type") === "application/jose" ? answer.text() : answer.json();
}

/** Waits until a condition holds: what is added is learnt in the background. */
async function until(condition) {
  const deadline = performance.now() + 120_000;
  while (!(await condition())) {
    assert(performance.now() < deadline, "it does not come to hold");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function refused(promise) {
  const error = await promise.then(
    () => assert.fail("an error was expected"),
    (error) => error,
  );
  assert(error instanceof GorseException, String(error));
  return error;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "recant-gorse-"));
  await writeFile(join(folder, "gorse.toml"), CONFIGURATION);
  const log = join(folder, "log");
  const command = ["serve", "--data-dir", "data", "--config", "gorse.toml"];
  server = spawn(binary, [...command, "--listen", "127.0.0.1:0"], {
    cwd: folder,
    stdio: ["ignore", "pipe", openSync(log, "a")],
  });
  for await (const line of createInterface(server.stdout)) {
    url = /listens on (http:\/\/\S+)/.exec(line)?.[1];
    if (url !== undefined) {
      break;
    }
  }
  assert(url !== undefined, `the server did not start: ${readFileSync(log, "utf8")}`);
  server.stdout.resume();
  await until(async () => (await fetch(`${url}/api/health/ready`)).ok);
  client = new Gorse({ endpoint: url, secret: KEY }, { proxy: false });
  const users = Array.from({ length: USERS }, (_, number) => user(number));
  assert.equal(await client.insertUsers(users), USERS);
  const items = Array.from({ length: ITEMS }, (_, number) => item(number));
  assert.equal(await client.upsertItems(items), ITEMS);
  const rows = feedback();
  assert.equal(await client.insertFeedbacks(rows), rows.length);
  await until(async () => (await get("/model")).interactions === rows.length);
});

after(async () => {
  if (server !== undefined && server.exitCode === null) {
    const ended = new Promise((resolve) => server.once("exit", resolve));
    server.kill();
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
});

test("users are added, shown, changed and deleted", async () => {
  const added = { UserId: "100", Labels: ["a", "b", "c"], Comment: "comment" };
  assert.equal(await client.insertUser(added), 1);
  assert.deepEqual(await client.getUser("100"), added);
  const changed = { ...added, Comment: "another" };
  assert.equal(await client.updateUser("100", changed), 1);
  assert.deepEqual(await client.getUser("100"), changed);
  const page = await client.getUsers({ n: 1 });
  assert.deepEqual(page.Users, [changed]);
  assert.notEqual(page.Cursor, "");
  assert.equal(await client.deleteUser("100"), 1);
  const absent = await refused(client.getUser("100"));
  assert.deepEqual([absent.code, absent.message], [404, "user 100 not found"]);
});

test("items are added, shown, changed and deleted", async () => {
  const added = {
    ItemId: "100",
    IsHidden: true,
    Labels: ["a", "b", "c"],
    Categories: ["d", "e"],
    Timestamp: "2022-08-07T00:26:46Z",
    Comment: "comment",
  };
  assert.equal(await client.upsertItem(added), 1);
  assert.deepEqual(await client.getItem("100"), added);
  assert.equal(await client.updateItem("100", { ...added, IsHidden: false }), 1);
  assert.equal((await client.getItem("100")).IsHidden, false);
  assert.equal(await client.insertItemCategory("100", "f g"), 1);
  assert.deepEqual((await client.getItem("100")).Categories, ["d", "e", "f g"]);
  assert.equal(await client.deleteItemCategory("100", "d"), 1);
  assert.deepEqual((await client.getItem("100")).Categories, ["e", "f g"]);
  const page = await client.getItems({ n: 1 });
  assert.equal(page.Items[0].ItemId, "100");
  assert.equal(await client.deleteItem("100"), 1);
  const absent = await refused(client.getItem("100"));
  assert.deepEqual([absent.code, absent.message], [404, "item 100 not found"]);
});

test("feedback is added, replaced, shown and deleted", async () => {
  const row = (type, item) => ({
    FeedbackType: type,
    UserId: "200",
    ItemId: item,
    Timestamp: "2022-08-07T00:26:46Z",
  });
  const rows = [row("like", "i1"), row("read", "i2"), row("read", "i3")];
  assert.equal(await client.insertFeedbacks(rows), 3);
  assert.equal(await client.upsertFeedbacks([{ ...row("like", "i1"), Value: 3 }]), 1);
  const like = { type: "like", userId: "200", itemId: "i1" };
  const shown = await client.getFeedback(like);
  assert.deepEqual([shown.Value, shown.Timestamp], [3, "2022-08-07T00:26:46Z"]);
  assert.equal((await client.getUserFeedback("200")).length, 3);
  assert.equal((await client.getUserFeedbackByType("200", "read")).length, 2);
  // What the type of this client calls `Feedbacks` has the name `Feedback` on the wire.
  assert.equal((await client.getFeedbacks("read", { n: 1, Cursor: "" })).Feedback.length, 1);
  assert.equal((await client.getFeedbacks(undefined, { n: 5 })).Feedback.length, 5);
  assert.equal((await client.deleteFeedback(like)).RowAffected, 1);
  assert.deepEqual(await client.getFeedback(like), {});
  assert.equal((await client.getUserFeedback("200")).length, 2);
});

test("lists are of films of the category that is asked for", async () => {
  const category = "Drama";
  const ofCategory = async (ids) => {
    assert.notEqual(ids.length, 0);
    for (const id of ids) {
      assert.deepEqual((await client.getItem(id)).Categories, [category]);
    }
  };
  const cursorOptions = { n: 3, offset: 1 };
  const own = await client.getRecommend({ userId: "u1", cursorOptions: { n: 4 } });
  const rest = await client.getRecommend({ userId: "u1", cursorOptions });
  assert.deepEqual(rest, own.slice(1));
  await ofCategory(await client.getRecommend({ userId: "u0", category }));
  const ids = (scores) => scores.map((score) => score.Id);
  await ofCategory(ids(await client.getLatest({ category, cursorOptions })));
  await ofCategory(ids(await client.getPopular({ category, cursorOptions })));
  await ofCategory(ids(await client.getItemNeighbors({ itemId: "i0", category })));
  assert.equal((await client.getLatest({ cursorOptions }))[0].Score, 1_580_083_200);
  assert.equal((await client.getItemNeighbors({ itemId: "i0", cursorOptions })).length, 3);
  const session = [{ FeedbackType: "like", UserId: "", ItemId: "i2", Timestamp: "" }];
  const found = ids(await client.getSessionRecommend(session, { category, cursorOptions }));
  await ofCategory(found);
  assert(!found.includes("i2"));
  const absent = await refused(client.getUserNeighbors({ userId: "u1" }));
  assert.equal(absent.code, 404);
});

test("a list that is written back leaves the next one", async () => {
  const asked = { userId: "u3", cursorOptions: { n: 2 } };
  const first = await client.getRecommend({ ...asked, writeBackType: "read" });
  await until(async () => {
    const next = await client.getRecommend(asked);
    return !next.some((item) => first.includes(item));
  });
});

test("a user who is deleted is forgotten with a receipt", async () => {
  assert.notEqual((await client.getUserFeedback("u5")).length, 0);
  assert.equal(await client.deleteUser("u5"), 1);
  assert.deepEqual(await client.getUserFeedback("u5"), []);
  const newest = (await get("/erasures?limit=1")).erasures[0];
  await until(async () => (await get(`/erasures/${newest.id}`)).status === "certified");
  const files = [join(folder, "receipt.jws"), join(folder, "jwks.json")];
  await writeFile(files[0], await get(`/erasures/${newest.id}/receipt`));
  await writeFile(files[1], JSON.stringify(await get("/.well-known/jwks.json")));
  execFileSync(binary, ["verify", files[0], "--jwks", files[1]], { stdio: "pipe" });
});
