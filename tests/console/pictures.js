/**
 * Pictures of the console for the documents, of the demo of the program that `RECANT_BINARY` names, into the
 * folder that `RECANT_PICTURES` names.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { chromium } from "playwright-core";

import { startDemo } from "./demo.js";

const INTO = resolve(process.env["RECANT_PICTURES"]);

/** The pages, each with what brings it to what is worth seeing, in the light or in the dark. */
const PICTURES = [
  ["desk", "Erasure desk", "light", erase],
  ["erasures", "Erasures", "light", openErasure],
  ["recommendations", "Recommendations", "light", recommend],
  ["catalogue", "Catalogue", "dark", filter],
  ["overview", "Overview", "light", watch],
  ["overview-dark", "Overview", "dark", watch],
];

async function shows(page, selector, pattern) {
  await page.locator(selector).filter({ hasText: pattern }).first().waitFor();
}

/** The ids of some of the demo's people. */
async function people(page) {
  const answer = await page.request.get("/users?limit=4");
  const { users } = await answer.json();
  return users.map(({ user }) => user);
}

async function erase(page) {
  const [first, second, third] = await people(page);
  await page.getByLabel("Ids, one a line", { exact: true }).fill([first, second, third].join("\n"));
  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
  await shows(page, "#cases-state", "3 of 3 erasures certified");
}

async function openErasure(page) {
  await page.locator("#erasures-list button").first().click();
  await shows(page, "#erasure-state", "It is certified.");
  await page.getByRole("button", { name: "Verify the receipt" }).click();
  await shows(page, "#erasure-problem", "It holds.");
  await page.locator("#erasure").evaluate((element) => element.scrollIntoView());
}

async function recommend(page) {
  const [somebody] = await people(page);
  await page.locator("#recommend-user").fill(somebody);
  await page.getByRole("button", { name: "Recommend", exact: true }).click();
  await page.getByText("Because of").first().click();
  await shows(page, "#recommend-result", /of the score.*proven/s);
}

async function filter(page) {
  await page.getByLabel("Filter").fill('"romance" in tags');
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await shows(page, "#catalogue-state", "items on this page");
}

async function watch(page) {
  await shows(page, "#certificate", /The certificate holds/);
  // The plots are of what was read so far: three times is a line.
  await page.waitForFunction(
    () =>
      document.querySelector("#plot-bound polyline")?.getAttribute("points").split(" ").length >= 3,
    undefined,
    { timeout: 60_000 },
  );
}

const folder = await mkdtemp(join(tmpdir(), "recant-pictures-"));
const { demo, url } = await startDemo(folder);
const executablePath = process.env["RECANT_CHROMIUM"] ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--headless"] });
try {
  for (const [name, head, colorScheme, arrange] of PICTURES) {
    const page = await browser.newPage({
      colorScheme,
      baseURL: url,
      viewport: name === "desk" ? { width: 1240, height: 1180 } : { width: 1000, height: 860 },
    });
    await page.goto("/");
    await shows(page, "#health", "The server is ready");
    await page
      .getByRole("navigation", { name: "Pages" })
      .getByRole("link", { name: head, exact: true })
      .click();
    await arrange(page);
    await page.screenshot({ path: join(INTO, `console-${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
  demo.kill();
  await rm(folder, { recursive: true, force: true });
}
