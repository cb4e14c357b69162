/** The client beside the description of the service. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Client } from "recant-client";

import { problem } from "./script.js";
import { collect, Fixture } from "./server.js";

const fixture = Fixture.withData();

const AUDITORS = "auditors keep the answer in a file, for `recant verify`";

/** Routes that the client does not call, and why. */
const LEFT_OUT = new Map([
  ["GET /recommend", "POST /recommend says the same without an id in the URL"],
  ["GET /similar", "POST /similar says the same without an id in the URL"],
  ["GET /popular", "POST /popular says the same without an id in the URL"],
  ["GET /trending", "POST /trending says the same without an id in the URL"],
  ["GET /latest", "POST /latest says the same without an id in the URL"],
  ["GET /export", "POST /export says the same without an id in the URL"],
  ["DELETE /interactions", "POST /erasures says the same without an id in the URL"],
  ["PUT /users/{id}/restriction", "POST /restrictions says the same without an id in the URL"],
  [
    "DELETE /users/{id}/restriction",
    "POST /restrictions/lift says the same without an id in the URL",
  ],
  ["GET /erasures/{id}/inclusion", AUDITORS],
  ["GET /receipts/checkpoint", AUDITORS],
  ["GET /receipts/consistency", AUDITORS],
  ["GET /receipts/settlements", AUDITORS],
  ["GET /cluster", "for operators, who look at the console"],
  ["GET /webhooks", "for operators, who give a receiver its key once"],
  ["GET /metrics", "for Prometheus"],
  ["GET /docs", "for people"],
  ["GET /", "for people"],
]);

/** Every call, under its name; ids that come into a path are `i`, `e` and `u`. */
const CALLS: Record<string, (client: Client) => Promise<unknown>> = {
  recommend: (client) => client.recommend("u"),
  recommendSession: (client) => client.recommendSession(["i"]),
  recommendMany: (client) => collect(client.recommendMany(["u"])),
  similar: (client) => client.similar("i"),
  popular: (client) => client.popular(),
  trending: (client) => client.trending(),
  latest: (client) => client.latest(),
  erase: (client) => client.erase({ users: ["u"] }),
  eraseUser: (client) => client.eraseUser("u"),
  eraseItem: (client) => client.eraseItem("i"),
  eraseInteractions: (client) => client.eraseInteractions([{ user: "u", item: "i" }]),
  restrict: (client) => client.restrict(["u"]),
  liftRestrictions: (client) => client.liftRestrictions(["u"]),
  receipt: (client) => client.receipt("e"),
  jwks: (client) => client.jwks(),
  putUser: (client) => client.putUser("u", {}),
  user: (client) => client.user("u"),
  users: (client) => collect(client.users()),
  export: (client) => collect(client.export("u")),
  model: (client) => client.model(),
  health: (client) => client.health(),
  waitUntilReady: (client) => client.waitUntilReady(),
  openapi: (client) => client.openapi(),
  "items.put": ({ items }) => items.put({ id: "i" }),
  "items.patch": ({ items }) => items.patch("i", { title: null }),
  "items.hide": ({ items }) => items.hide("i"),
  "items.show": ({ items }) => items.show("i"),
  "items.get": ({ items }) => items.get("i"),
  "items.delete": ({ items }) => items.delete("i"),
  "items.list": ({ items }) => collect(items.list()),
  "items.putMany": ({ items }) => items.putMany([{ id: "i" }]),
  "interactions.add": ({ interactions }) => interactions.add({ user: "u", item: "i" }),
  "interactions.addMany": ({ interactions }) => interactions.addMany([{ user: "u", item: "i" }]),
  "erasures.get": ({ erasures }) => erasures.get("e"),
  "erasures.list": ({ erasures }) => collect(erasures.list()),
};

/** The methods that a client and its parts have. */
function methods(client: Client): string[] {
  const { items, interactions, erasures } = client;
  const parts = Object.entries({ "": client, items, interactions, erasures });
  return parts.flatMap(([part, object]) => {
    const names = Object.getOwnPropertyNames(Object.getPrototypeOf(object));
    const own = names.filter((name) => name !== "constructor");
    return own.map((name) => (part === "" ? name : `${part}.${name}`));
  });
}

/** The routes that the calls ask for, as they are sent. */
async function asked(): Promise<Set<string>> {
  const routes = new Set<string>();
  const refuse: typeof fetch = (url, init) => {
    const { pathname } = new URL(String(url));
    routes.add(`${init?.method} ${pathname}`);
    // `health` asks a second time only where the first answer is one of a service that is not well.
    const isHealth = pathname === "/healthz";
    const { status, headers, body } = problem(isHealth ? 503 : 400, isHealth ? "starting" : "no");
    return Promise.resolve(new Response(body, { status, headers }));
  };
  const client = new Client("http://127.0.0.1", { fetch: refuse });
  for (const call of Object.values(CALLS)) {
    await call(client).catch(() => undefined);
  }
  return routes;
}

test("every method is in the list of calls", () => {
  assert.deepEqual(methods(fixture.client()).sort(), Object.keys(CALLS).sort());
});

test("every route of the service is called or left out for a reason", async () => {
  const { paths } = await fixture.client().openapi();
  const there = Object.entries(paths as Record<string, object>).flatMap(([path, methods]) => {
    return Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`);
  });
  const sent = await asked();
  const named = [...sent].map((route) => route.replace(/\/[ieu](?=\/|$)/, "/{id}"));
  const called = there.filter((route) => named.includes(route));
  const lacking = there.filter((route) => !called.includes(route) && !LEFT_OUT.has(route));
  assert.deepEqual(lacking, [], "the client lacks these");
  const gone = [...LEFT_OUT.keys()].filter((route) => !there.includes(route));
  assert.deepEqual(gone, [], "these are not there to be left out");
  const both = called.filter((route) => LEFT_OUT.has(route));
  assert.deepEqual(both, [], "these are called after all");
  const unknown = named.filter((route) => !there.includes(route));
  assert.deepEqual(unknown, [], "the service lacks these");
});
