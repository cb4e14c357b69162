/** The examples of the README and of the folder `examples`, as they stand there, against the demo. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { Fixture } from "./server.js";

const fixture = Fixture.demo();
/** Where the tests were compiled to. */
const BUILT = new URL("../", import.meta.url);
const README = new URL("../README.md", BUILT);

async function run(file: URL, ...args: string[]): Promise<string> {
  const done = await promisify(execFile)(process.execPath, [fileURLToPath(file), ...args]);
  return done.stdout;
}

test("the README says what runs", async () => {
  const text = await readFile(README, "utf8");
  const blocks = [...text.matchAll(/^```js\n(.*?)^```/gms)].map(([, block]) => block ?? "");
  assert(blocks.length >= 3);
  for (const [number, block] of blocks.entries()) {
    const file = new URL(`readme-${number}.mjs`, BUILT);
    await writeFile(file, block.replaceAll("http://127.0.0.1:8080", fixture.url));
    await run(file);
  }
});

test("the example erases and verifies", async () => {
  const example = new URL("examples/erase-and-verify.js", BUILT);
  const said = await run(example, fixture.url, "bea-0005");
  assert.match(said, /the receipt holds: number \d+ of recant, about this user/);
  assert.match(said, /^[1-9]\d* rows are held\n/);
  assert.match(said, /\n0 rows are held\n$/);
});
