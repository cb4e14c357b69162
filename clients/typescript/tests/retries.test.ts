/** What a client does when the service is busy, breaks off, or is not there. */

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import {
  Client,
  ErasureNotFound,
  NoAnswerError,
  ReceiptNotReady,
  RecantError,
  Unavailable,
  UnexpectedAnswer,
  WriteInterrupted,
} from "recant-client";

import { CUT, lines, ok, problem, Script } from "./script.js";
import { collect, failure } from "./server.js";

const QUICK = { attempts: 3, firstPauseMs: 1, longestPauseMs: 2, patienceMs: 1000 };
const ACCEPTED = {
  id: "019381e4-6c1c-7a51-a38b-8f0e6a4b6f3a",
  status: "accepted",
  accepted_at: "2026-01-31T12:00:00.000Z",
  receipt_salt: "kZ0yqk3mKQf0vQ7tq1mC0f3n0oZ5o2jH1bq8cJx3A2E",
};

let script: Script;
let client: Client;

before(async () => {
  script = await Script.start();
});
beforeEach(() => {
  [script.answers, script.asked] = [[], []];
  client = new Client(script.url, { retries: QUICK });
});
after(() => script.stop());

test("an erasure keeps its key over all attempts", async () => {
  script.answers = [problem(503, "store_stalled"), CUT, ok(ACCEPTED)];
  const erasure = await client.eraseUser("ada");
  assert.equal(script.asked.length, 3);
  const keys = new Set(script.asked.map(({ headers }) => headers["idempotency-key"]));
  assert.deepEqual([...keys], [erasure.idempotencyKey]);
  assert(script.asked.every(({ body }) => body === '{"users":["ada"]}'));
});

test("a pause that the service asks for is kept", async () => {
  script.answers = [problem(429, "rate_limited", { "retry-after": "1" }), ok({ keys: [] })];
  const began = performance.now();
  assert.deepEqual(await client.jwks(), { keys: [] });
  assert(performance.now() - began >= 990);
  script.answers = [problem(503, "overloaded", { "retry-after": "7200" })];
  const patience = await failure(Unavailable, client.jwks());
  assert.deepEqual([patience.retryAfterMs, patience.code], [7_200_000, "overloaded"]);
});

test("attempts come to an end", async () => {
  script.answers = Array.from({ length: 3 }, () => problem(503, "starting"));
  const last = await failure(Unavailable, client.model());
  assert.equal(last.message, "503 starting: mend it");
  assert(last instanceof RecantError && last.name === "Unavailable");
  assert.equal(script.asked.length, 3);
  assert.throws(() => new Client(script.url, { retries: { attempts: 0 } }), RangeError);
});

test("what may have been counted is not sent again", async () => {
  const done = ok({ accepted: 1, held_back: 0, rejected: [] });
  const row = { user: "ada", item: "dune" };
  const nothingDoneCodes = ["overloaded", "no_leader", "not_current"];
  for (const nothingDone of [
    ...nothingDoneCodes.map((code) => problem(503, code)),
    problem(429, "rate_limited"),
  ]) {
    script.answers = [nothingDone, done];
    assert.equal((await client.interactions.add(row)).accepted, 1);
  }
  const unknownCodes = ["timed_out", "store_stalled", "leadership_lost"];
  for (const unknown of [CUT, ...unknownCodes.map((code) => problem(503, code))]) {
    [script.asked, script.answers] = [[], [unknown, done]];
    await failure(RecantError, client.interactions.add(row));
    assert.equal(script.asked.length, 1);
  }
});

test("a stream that stops says how far it came", async () => {
  const rejected = [{ index: 1, reason: "title must be a text" }];
  script.answers = [ok({ accepted: 1, rejected }), CUT, CUT, CUT];
  const rows = ["a", "b", "c", "d"].map((id) => ({ id }));
  const stopped = await failure(WriteInterrupted, client.items.putMany(rows, { batch: 2 }));
  assert.deepEqual(stopped.written, { accepted: 1, heldBack: 0, rejected });
  assert.equal(stopped.unknown, 2);
  assert(stopped.cause instanceof NoAnswerError && stopped.cause.sent);
  assert.equal(script.asked[1]?.headers["content-type"], "application/x-ndjson");
  assert.equal(script.asked[1]?.body, '{"id":"c"}\n{"id":"d"}');
});

test("large rows make smaller requests", async () => {
  const done = ok({ accepted: 2, held_back: 0, rejected: [] });
  script.answers = [done, done];
  const user = "ü".repeat(750_000);
  const rows = ["a", "b", "c", "d"].map((item) => ({ user, item }));
  assert.equal((await client.interactions.addMany(rows)).accepted, 4);
  const counts = script.asked.map(({ body }) => body.split("\n").length);
  assert.deepEqual(counts, [2, 2]);
  await failure(RangeError, client.interactions.addMany(rows, { batch: 10_001 }));
});

test("other errors are thrown at once", async () => {
  script.answers = [problem(409, "receipt_not_ready"), problem(404, "erasure_not_found")];
  await failure(ReceiptNotReady, client.receipt("x"));
  await failure(ErasureNotFound, client.erasures.get("x"));
});

test("an answer of something else is told apart", async () => {
  const page = { status: 200, headers: { "content-type": "text/html" }, body: "<html>" };
  const elsewhere = { status: 307, headers: { location: "/model" }, body: "" };
  const gone = { status: 404, headers: {}, body: "gone" };
  for (const answer of [page, elsewhere, gone, ok([]), ok({ version: "1" }), ok(null)]) {
    script.answers = [answer];
    await failure(UnexpectedAnswer, client.model());
  }
  script.answers = [{ status: 502, headers: {}, body: "<html>" }, ok({ keys: [] })];
  assert.deepEqual(await client.jwks(), { keys: [] });
});

test("an answer for many that broke off is no answer", async () => {
  const line = JSON.stringify({ user: "a", model_version: 1, source: "model", items: [] });
  for (const body of [`${line}\n`, `${line}\n${line}`]) {
    script.answers = [lines(body)];
    const broken = collect(client.recommendMany(["a", "b"]));
    assert.match((await failure(UnexpectedAnswer, broken)).message, /broke off/);
  }
});

test("an export that broke off is not taken for all of it", async () => {
  const line = '{"item":"dune","type":"view","weight":1,"timestamp":1700000000123456789}';
  script.answers = [CUT, lines(`${line}\n${line}\n`)];
  const rows = await collect(client.export("ada"));
  assert.deepEqual(
    rows.map((row) => row.line),
    [line, line],
    "the numbers of a line are exact",
  );
  script.answers = [lines(`${line}\n`, true)];
  assert((await failure(NoAnswerError, collect(client.export("ada")))).sent);
  script.answers = [lines(line)];
  const within = await failure(UnexpectedAnswer, collect(client.export("ada")));
  assert.match(within.message, /within a line/);
});

test("a wait asks the service to wait and then asks how it is", async () => {
  const times = { erased_at: null, forgotten_at: null, certified_at: null };
  const state = { ...ACCEPTED, ...times, status: "forgotten" };
  const certified = { ...state, status: "certified" };
  script.answers = [ok(ACCEPTED), ok(state), ok(state), ok(state), ok(certified)];
  const erasure = await client.eraseItem("dune");
  await erasure.waitUntilCertified({ timeoutMs: 100_000 });
  const [first, again, ...looks] = script.asked;
  assert.equal(again?.headers["idempotency-key"], first?.headers["idempotency-key"]);
  assert.deepEqual([first?.headers["prefer"], again?.headers["prefer"]], [undefined, "wait=60"]);
  const look = `GET /erasures/${ACCEPTED.id}`;
  assert.deepEqual(
    looks.map(({ method, path }) => `${method} ${path}`),
    [look, look, look],
  );
});

test("an answer that does not come is given up", async () => {
  const silent = (_: unknown, init?: RequestInit): Promise<Response> => {
    return new Promise((_, reject) => {
      init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
    });
  };
  const options = { fetch: silent, timeoutMs: 20, retries: { attempts: 1 } };
  const given = await failure(NoAnswerError, new Client(script.url, options).eraseUser("ada"));
  assert.deepEqual([given.message, given.sent], ["POST /erasures: nothing for 20 ms", true]);
});

test("health says what is amiss", async () => {
  script.answers = [problem(503, "worker_stopped"), problem(503, "starting")];
  assert.deepEqual(await client.health(), { alive: false, ready: false, reason: "mend it" });
});

test("a URL must be one", () => {
  for (const url of ["localhost:8080", "127.0.0.1", "", "file:///etc"]) {
    assert.throws(() => new Client(url), TypeError);
  }
});
