/**
 * How soon the console is painted and how much it takes over the network, on a machine whose cores are busy: for
 * the documents, of the demo of the program that `RECANT_BINARY` names.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";

import { chromium } from "playwright-core";

import { startDemo } from "./demo.js";

/** Visits, each of a browser that has kept nothing. */
const VISITS = 15;

/** Keeps every core busy; what ends it. */
function keepBusy() {
  const loop = "for (;;) {}";
  const workers = Array.from(
    { length: availableParallelism() },
    () => new Worker(loop, { eval: true }),
  );
  return () => Promise.all(workers.map((worker) => worker.terminate()));
}

/** What the browser tells of a visit: times in milliseconds since it began. */
async function visit(browser, url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(url);
  await page.locator("#health").filter({ hasText: "The server is ready" }).waitFor();
  const told = await page.evaluate(() => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    const loads = performance.getEntriesByType("resource");
    const all = [...performance.getEntriesByType("navigation"), ...loads];
    const files = all.filter(({ name }) => !/metrics|model|ready|erasures/.test(name));
    const bytes = files.reduce((sum, { transferSize }) => sum + transferSize, 0);
    const hosts = new Set(all.map(({ name }) => new URL(name).host));
    return { paint: paint.startTime, bytes, files: files.length, hosts: hosts.size };
  });
  await context.close();
  return told;
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

const folder = await mkdtemp(join(tmpdir(), "recant-measure-"));
const { demo, url } = await startDemo(folder);
const executablePath = process.env["RECANT_CHROMIUM"] ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--headless"] });
try {
  for (const isBusy of [false, true]) {
    const stop = isBusy ? keepBusy() : () => undefined;
    const visits = [];
    for (let number = 0; number < VISITS; number += 1) {
      visits.push(await visit(browser, url));
    }
    await stop();
    const paints = visits.map(({ paint }) => paint);
    const [{ bytes, files, hosts }] = visits;
    console.log(
      `${isBusy ? "all cores busy" : "idle"}: first contentful paint ${median(paints).toFixed(0)} ms, ` +
        `at most ${Math.max(...paints).toFixed(0)}; ${bytes} bytes in ${files} files from ${hosts} host`,
    );
  }
} finally {
  await browser.close();
  demo.kill();
  await rm(folder, { recursive: true, force: true });
}
