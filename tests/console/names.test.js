/** Lines that name whom or what to erase, without a browser: the module is the one that the page loads. */

import assert from "node:assert/strict";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const source = join(resolve(process.env["RECANT_CONSOLE"]), "names.js");
const { BadLine, one, read } = await import(pathToFileURL(source));

const pair = (user, item) => ({ interactions: [{ user, item }] });
const names = ({ entries }) => entries.map((entry) => entry.names);
const bad = (found) => found.bad.map(({ line }) => line);

test("ids stand one a line, commas and quotation marks within them included", () => {
  const found = read('ada\n Smith, John \n"a,b"\n"say ""x"""\na"b\n', "users");
  const users = ["ada", "Smith, John", "a,b", 'say "x"', 'a"b'];
  assert.deepEqual(
    names(found),
    users.map((user) => ({ users: [user] })),
  );
  assert.deepEqual(found.entries.map(({ line, label }) => [line, label])[1], [
    2,
    "person Smith, John",
  ]);
  assert.deepEqual(names(read("dune", "items")), [{ items: ["dune"] }]);
});

test("pairs come in two columns, in the order that a heading says", () => {
  assert.deepEqual(names(read('ada,dune\r\n"a, b","c""d"\r\n', "pairs")), [
    pair("ada", "dune"),
    pair("a, b", 'c"d'),
  ]);
  const turned = read("item_id,USER_ID\ndune,ada\n", "pairs");
  assert.deepEqual(names(turned), [{ interactions: [{ item: "dune", user: "ada" }] }]);
  assert.deepEqual(turned.headings, [1]);
  const headed = read("user_id\nada\n", "users");
  assert.deepEqual([names(headed), headed.headings], [[{ users: ["ada"] }], [1]]);
  // Alone, or further down, it is an id.
  assert.deepEqual(names(read("user", "users")), [{ users: ["user"] }]);
  assert.deepEqual(names(read("ada\nuser\n", "users")), [{ users: ["ada"] }, { users: ["user"] }]);
});

test("JSON Lines name the same, with a type where there is one", () => {
  const lines = [
    { user: "ada", item: 7 },
    { item_id: "x", user_id: "eve" },
    { user: "ada", item: "x", type: "view" },
  ];
  const found = read(lines.map((line) => JSON.stringify(line)).join("\n"), "pairs");
  assert.deepEqual(names(found), [
    pair("ada", "7"),
    pair("eve", "x"),
    { interactions: [{ user: "ada", item: "x", type: "view" }] },
  ]);
  assert.deepEqual(names(read('{"user":" ada "}\n', "users")), [{ users: ["ada"] }]);
});

test("each bad line is told with its number and its reason, and the others stay", () => {
  const csv = 'a,b\nonly\n,x\na,\na,b,c\n"a,b\na\u0007,b\nc,d\n';
  const found = read(csv, "pairs");
  assert.deepEqual(names(found), [pair("a", "b"), pair("c", "d")]);
  assert.deepEqual(bad(found), [2, 3, 4, 5, 6, 7]);
  const reasons = found.bad.map(({ why }) => why).join(" ");
  for (const part of ["one column", "user is empty", "item is empty", "3 columns", "not closed"]) {
    assert(reasons.includes(part), `${part}: ${reasons}`);
  }
  const json = [
    '{"user":"a","item":"b"}',
    "a,b",
    '["a","b"]',
    '{"user":"a"}',
    '{"user":"a","item":null}',
    '{"user":9007199254740993,"item":"b"}',
    '{"user":1.5,"item":"b"}',
    '{"user":"a","item":"b","rating":1}',
    '{"user":"a","user_id":"c","item":"b"}',
    '{"user":"\\ud800","item":"b"}',
  ];
  assert.deepEqual(bad(read(json.join("\n"), "pairs")), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  const long = read(`${"é".repeat(128)}\n${"é".repeat(129)}\n`, "users");
  assert.deepEqual([long.entries.length, bad(long)], [1, [2]]);
});

test("a repeated line counts once, whatever blanks it has, and is told", () => {
  const found = read("a,b\n\n a , b \nb,a\na,b", "pairs");
  assert.deepEqual(names(found), [pair("a", "b"), pair("b", "a")]);
  assert.deepEqual([found.repeated, found.empty], [[3, 5], [2]]);
});

/** A generator of numbers below a bound that gives the same ones each time. */
function numbers(seed) {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

test("no line of any text is lost, and none is counted twice", () => {
  const next = numbers(7);
  const pieces = ["a", "b", ",", '"', "{", "}", ":", " ", "\n", "\r\n", "user", "item", "é", "\t"];
  for (let round = 0; round < 3_000; round += 1) {
    const length = next(30);
    const text = Array.from({ length }, () => pieces[next(pieces.length)]).join("");
    for (const kind of ["users", "items", "pairs"]) {
      const { entries, bad: wrong, repeated, empty, headings } = read(text, kind);
      const told = [...entries, ...wrong].map(({ line }) => line);
      const all = [...told, ...repeated, ...empty, ...headings].sort((left, right) => left - right);
      const lines = text.split("\n").length - (text === "" || text.endsWith("\n") ? 1 : 0);
      assert.deepEqual(
        all,
        Array.from({ length: lines }, (_, index) => index + 1),
        JSON.stringify([kind, text]),
      );
    }
  }
});

test("what is written as a line is read as it was", () => {
  const next = numbers(11);
  const signs = ["a", "B", ",", '"', " ", "é", "{", "7"];
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  for (let round = 0; round < 1_000; round += 1) {
    const id = () =>
      `x${Array.from({ length: next(6) }, () => signs[next(signs.length)]).join("")}x`;
    const row = { user: id(), item: id() };
    const expected = [{ interactions: [row] }];
    assert.deepEqual(names(read(`${quoted(row.user)},${quoted(row.item)}`, "pairs")), expected);
    assert.deepEqual(names(read(JSON.stringify(row), "pairs")), expected);
    assert.deepEqual(names(read(row.user, "users")), [{ users: [row.user] }]);
    assert.deepEqual(one("pairs", row).names, expected[0]);
  }
});

test("one pair of the form is held to the same rule", () => {
  assert.deepEqual(one("pairs", { user: " ada ", item: "dune" }), {
    label: "ada with dune",
    names: pair("ada", "dune"),
  });
  assert.throws(() => one("pairs", { user: "", item: "dune" }), BadLine);
});
