/** The console in a browser, against the program that `RECANT_BINARY` names. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { chromium } from "playwright-core";

import { KEYS, Server } from "./server.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PAGES = ["Overview", "Erasures", "Erasure desk", "Recommendations", "Catalogue"];

/** What all files of the page may weigh together, in bytes as they are. */
const WEIGHT_MAX = 200_000;

/** Whoever is erased or asked about: no address may ever hold it. */
const PERSON = "person-7";

let open;
let locked;
let browser;
let context;
let page;
let faults;
let addresses;

before(async () => {
  open = await Server.start({ hasKeys: false });
  locked = await Server.start({ hasKeys: true });
  const executablePath = process.env["RECANT_CHROMIUM"] ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--headless"] });
});

after(async () => {
  await browser?.close();
  await open?.remove();
  await locked?.remove();
});

beforeEach(async () => {
  await begin({});
});

afterEach(async () => {
  await context.close();
  assert.deepEqual(faults, []);
  for (const address of addresses) {
    assert(!address.includes("person"), address);
  }
});

/** A new page, with everything noted that no page may do. */
async function begin(options) {
  await context?.close();
  context = await browser.newContext({ acceptDownloads: true, ...options });
  faults = [];
  addresses = [];
  context.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    addresses.push(request.url());
    const isOwn = [open.url, locked.url].includes(origin) || ["blob:", "data:"].includes(protocol);
    if (!isOwn) {
      faults.push(`asked ${request.url()}`);
    }
  });
  await context.exposeFunction("noteFault", (text) => faults.push(text));
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      globalThis.noteFault(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`);
    });
  });
  page = await context.newPage();
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    // The browser notes every answer 4xx by itself; what the page does with it is tried below.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) {
      faults.push(message.text());
    }
  });
  page.on("framenavigated", (frame) => addresses.push(frame.url()));
}

async function visit(server, name = "Overview") {
  await page.goto(`${server.url}/`);
  await turnTo(name);
}

async function turnTo(name) {
  await page
    .getByRole("navigation", { name: "Pages" })
    .getByRole("link", { name, exact: true })
    .click();
  await page.getByRole("heading", { name, exact: true, level: 2 }).waitFor();
}

async function useKey(key, keep = false) {
  await page.locator("#key-state").click();
  await page.getByRole("textbox", { name: "API key" }).fill(key);
  await page.getByRole("checkbox", { name: /Keep it in this tab/ }).setChecked(keep);
  await page.getByRole("button", { name: "Use this key" }).click();
}

/** The text of an element once it matches. */
async function shows(selector, pattern) {
  await page.locator(selector).filter({ hasText: pattern }).waitFor();
}

async function erase(lines) {
  await page.getByLabel("Ids, one a line", { exact: true }).fill(lines);
  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
}

/** The file that a click hands over. */
async function downloaded(click) {
  const [file] = await Promise.all([page.waitForEvent("download"), click()]);
  return { name: file.suggestedFilename(), path: await file.path() };
}

test("the overview shows the live model and its certificate, and draws what it measures", async () => {
  await visit(open);
  await shows("#health", "The server is ready");
  await shows("#certificate", /The certificate holds.*the target is/s);
  await shows("#certificate", /position \d+ of the log/);
  await shows("#gauges", /erasures not yet forgotten/);
  await shows("#model", "ials");
  await page.locator("#plot-bound polyline").waitFor({ state: "attached" });
  await shows("#plot-bound figcaption", /now, at most/);
});

test("all of the page is small and its own", async () => {
  let weight = 0;
  const types = [];
  page.on("response", async (response) => {
    const { pathname } = new URL(response.url());
    if (pathname === "/" || pathname.startsWith("/console/")) {
      types.push(response.headers()["content-type"]);
      weight += Number(response.headers()["content-length"]);
    }
  });
  await visit(open);
  for (const name of PAGES) {
    await turnTo(name);
  }
  assert(weight > 10_000 && weight <= WEIGHT_MAX, `${weight} bytes`);
  assert(types.length > 10, `${types}`);
  const response = await page.request.get(`${open.url}/`);
  const policy = response.headers()["content-security-policy"];
  assert(policy.includes("default-src 'none'") && !policy.includes("unsafe"), policy);
});

test("an erasure, from a name to a receipt that is verified here and by the program", async () => {
  await visit(open, "Erasure desk");
  await page.getByLabel("Ids, one a line", { exact: true }).fill(PERSON);
  await page.getByRole("button", { name: "See what is held" }).click();
  await shows("#desk-export summary", /person-7: \d+ interactions/);
  await shows("#desk-export", "Film <b>");
  await erase(`${PERSON}\n person-8 \n\n${PERSON}`);
  await shows("#cases-state", "2 of 2 erasures certified");
  const rows = page.locator("#cases-list tbody tr");
  assert.equal(await rows.count(), 2);
  for (const row of await rows.all()) {
    assert.match(await row.innerText(), /certified[\s\S]*It holds\./);
  }
  assert(await page.getByText("Each salt is shown once").isVisible());
  const archive = await downloaded(() =>
    page.getByRole("button", { name: "Download the archive" }).click(),
  );
  assert.equal(archive.name, "erasures.zip");
  await page.getByText("Each salt is shown once").waitFor({ state: "hidden" });
  await inspectArchive(archive.path);

  // What was erased is held no more, and recommended by popularity.
  await page.getByLabel("Ids, one a line", { exact: true }).fill(PERSON);
  await page.getByRole("button", { name: "See what is held" }).click();
  await shows("#desk-export summary", /person-7: 0 interactions/);
});

/** Opens the archive with another program and has `recant verify` judge what is in it. */
async function inspectArchive(path) {
  const folder = await mkdtemp(join(tmpdir(), "recant-archive-"));
  try {
    const unpack = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall()";
    execFileSync("python3", ["-c", unpack, path], { cwd: folder });
    const salts = await readFile(join(folder, "salts.tsv"), "utf8");
    const [head, ...lines] = salts.trim().split("\n");
    assert.equal(head, "erasure\tsalt");
    assert.equal(lines.length, 2);
    for (const line of lines) {
      const [id, salt] = line.split("\t");
      const at = (name) => join(folder, name);
      const said = open.command(
        "verify",
        at(`receipts/${id}.jws`),
        ...["--jwks", at("jwks.json"), "--salt", salt, "--pairs", at(`names/${id}.json`)],
        ...["--inclusion", at(`receipts/${id}.tlog-proof`)],
      );
      assert.match(said, /the signature holds/);
      assert.match(said, /the salt opens it/);
    }
    const report = await readFile(join(folder, "report.html"), "utf8");
    const reader = await context.newPage();
    await reader.setContent(report);
    assert.equal(await reader.locator("section").count(), 2);
    const text = await reader.locator("body").innerText();
    assert.match(text, /person person-7[\s\S]*It holds\.[\s\S]*person person-8/);
    const breaks = await reader.evaluate(() =>
      [...document.styleSheets[0].cssRules].some((rule) =>
        rule.cssText.includes("break-before: page"),
      ),
    );
    assert(breaks, "a page for each erasure");
    await reader.close();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

test("erasures are listed, found, followed, and their receipts checked with the salt", async () => {
  await visit(open, "Erasure desk");
  await erase("person-11");
  await shows("#cases-state", "1 of 1 erasure certified");
  const row = page.locator("#cases-list tbody tr").first();
  const [id, salt] = await row.locator("code").allInnerTexts();
  await turnTo("Erasures");
  await page.getByLabel("State").selectOption("certified");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByRole("button", { name: id }).click();
  await shows("#erasure-state", "It is certified.");
  assert.equal(await page.locator("#erasure .timeline li.reached").count(), 4);
  await shows("#erasure-body", /The certificate holds/);
  await page.getByRole("button", { name: "Verify the receipt" }).click();
  await shows(
    "#erasure-problem",
    /It holds\..*The signature holds: receipt \d+.*It is in the log recant/s,
  );
  const receipt = await downloaded(() =>
    page.getByRole("button", { name: "Download the receipt" }).click(),
  );
  assert.equal(receipt.name, `${id}.jws`);
  const proof = await downloaded(() =>
    page.getByRole("button", { name: /proof of inclusion/ }).click(),
  );
  assert.match(await readFile(proof.path, "utf8"), /^c2sp\.org\/tlog-proof/);

  await page.locator("#check-file").setInputFiles(receipt.path);
  await page.getByLabel("Salt", { exact: true }).fill(salt);
  await page.locator("#check-user").fill("person-11");
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await shows("#check-result", /The salt opens the commitment/);
  await page.locator("#check-user").fill("person-12");
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await shows("#check-result", /It does not hold\..*The salt does not open/s);
  const text = await readFile(receipt.path, "utf8");
  const forged = text.replace(/\.(.)/, (_, letter) => `.${letter === "a" ? "b" : "a"}`);
  await page.locator("#check-text").fill(forged);
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await shows("#check-result", /It does not hold/);

  await page.getByLabel("Id of an erasure").fill("00000000-0000-0000-0000-000000000000");
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await shows("#erasures-problem", /take the id from the answer/);
});

test("pages of erasures follow each other", async () => {
  await visit(open, "Erasure desk");
  const people = Array.from({ length: 12 }, (_, number) => `person-${20 + number}`);
  await erase(people.join("\n"));
  await shows("#cases-state", "12 of 12 erasures certified");
  await turnTo("Erasures");
  await page.getByLabel("A page has").selectOption("10");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await shows("#erasures-list caption", "10 erasures");
  const first = await page.locator("#erasures-list button").first().innerText();
  await page.getByRole("button", { name: "Next page" }).click();
  await page.getByRole("button", { name: first }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: "First page" }).click();
  await page.getByRole("button", { name: first }).waitFor();
});

test("recommendations come with reasons and with what is proven of them", async () => {
  await visit(open, "Recommendations");
  await page.locator("#recommend-user").fill("person-3");
  await page.getByRole("button", { name: "Recommend", exact: true }).click();
  await shows("#recommend-state", /10 items by version \d+, from the model's own factors/);
  await page.getByText("Because of").first().click();
  await shows("#recommend-result", /% of the score/);
  await shows(
    "#recommend-result",
    /What is proven of this list.*retrained model's, in some order/s,
  );
});

test("items are found, hidden, shown and described, whatever their titles hold", async () => {
  await visit(open, "Catalogue");
  await page.getByLabel("Filter").fill('"drama" in tags');
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await shows("#catalogue-state", "13 items on this page.");
  await page.getByRole("button", { name: "Hide film-2", exact: true }).click();
  await shows("#catalogue-state", "film-2 is hidden now.");
  await page.getByRole("button", { name: "Show film-2", exact: true }).click();
  await shows("#catalogue-state", "film-2 is shown now.");
  await page.getByRole("button", { name: "film-5", exact: true }).click();
  await page.getByLabel("Title", { exact: true }).fill("<img src=x onerror=alert(1)>");
  await page.getByLabel("Properties, as a JSON object").fill('{"year": 1965}');
  await page.getByRole("button", { name: "Save" }).click();
  await shows("#catalogue-state", "film-5 is saved");
  await shows("#catalogue-list", /<img src=x onerror=alert\(1\)>.*year: 1965/s);
  assert.equal(await page.locator("#catalogue-list img").count(), 0);
  await page.getByLabel("Properties, as a JSON object").fill("{}");
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#catalogue-list").filter({ hasNotText: "year" }).waitFor();
  await page.getByLabel("Filter").fill("tags ==");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.getByRole("alert").waitFor();
  assert.equal(await page.locator("#catalogue-list").innerText(), "");
});

test("keys: what is missing is told, and each sees what its roles allow", async () => {
  await visit(locked);
  await shows("#overview-problem", /This needs an API key with the role “read”/);
  await useKey("no such key");
  await shows("#overview-problem", /The server does not know the key/);
  await useKey(KEYS.reader);
  await shows("#certificate", /certificate/);
  await turnTo("Erasures");
  await shows("#erasures-problem", /role “erase”.*does not have it/s);
  await turnTo("Catalogue");
  await page.getByRole("button", { name: "Hide film-0", exact: true }).click();
  await shows("#catalogue-problem", /role “write”/);
  await useKey(KEYS.eraser);
  await shows("#catalogue-problem", /role “read”/);
  assert.equal(await page.locator("#catalogue-list").innerText(), "");
  await turnTo("Erasure desk");
  await page.getByLabel("Ids, one a line", { exact: true }).fill(PERSON);
  await page.getByRole("button", { name: "See what is held" }).click();
  await shows("#desk-problem", /role “admin”/);
  await erase(PERSON);
  await shows("#cases-state", "1 of 1 erasure certified");
});

test("a key is kept only when that is asked for", async () => {
  await visit(locked);
  await useKey(KEYS.admin);
  await shows("#key-state", "in memory");
  await shows("#model", "version");
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0);
  await page.reload();
  await shows("#overview-problem", "This needs an API key");
  await useKey(KEYS.admin, true);
  await shows("#key-state", "kept in this tab");
  await page.reload();
  await shows("#model", "version");
  await page.locator("#key-state").click();
  await page.getByRole("button", { name: "Forget the key" }).click();
  await shows("#overview-problem", "This needs an API key");
  assert.equal(await page.evaluate(() => sessionStorage.length + localStorage.length), 0);
  assert.equal(await page.locator("#model").innerText(), "");
});

test("a server that goes and comes back is told, and nothing is asked twice or lost", async () => {
  await visit(open, "Erasure desk");
  await shows("#health", "The server is ready");
  await open.stop();
  await erase("person-50");
  await shows("#health", /No answer from the server since/);
  await shows("#cases-state", "1 not sent yet");
  await shows("#cases-problem", "No answer");
  await open.serve();
  await shows("#health", "The server is ready");
  await shows("#cases-state", "1 of 1 erasure certified");
  assert.equal(await page.locator("#cases-problem").innerText(), "");
  const posted = addresses.filter((address) => address.endsWith("/erasures")).length;
  assert(posted >= 2, "it was sent again");
  const answer = await page.request.get(`${open.url}/erasures?limit=500`);
  const { erasures } = await answer.json();
  const [id] = await page.locator("#cases-list code").allInnerTexts();
  assert.equal(erasures[0].id, id);
  await turnTo("Overview");
  await shows("#certificate", "position");
});

test("every page is reached and used with the keyboard alone", async () => {
  await page.goto(`${open.url}/`);
  await shows("#certificate", "position");
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "overview-head");
  for (const [number, name] of PAGES.entries()) {
    await page.goto(`${open.url}/`);
    await page.locator("#overview-head").waitFor();
    for (let step = 0; step < number + 2; step += 1) {
      await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name, exact: true, level: 2 }).waitFor();
    const current = page.locator('#pages [aria-current="page"]');
    assert.equal(await current.innerText(), name);
    assert.match(await page.title(), new RegExp(`^${name}`));
    if (number > 0) {
      assert.match(await focused(), /-head$/);
    }
  }
});

function focused() {
  return page.evaluate(() => document.activeElement.id);
}

for (const colorScheme of ["light", "dark"]) {
  test(`no page has a serious barrier, ${colorScheme}`, async () => {
    await begin({ colorScheme, bypassCSP: true });
    await visit(open, "Erasure desk");
    await erase("person-55");
    await shows("#cases-state", "1 of 1 erasure certified");
    await page.getByLabel("Ids, one a line", { exact: true }).fill("person-9");
    await page.getByRole("button", { name: "See what is held" }).click();
    await shows("#desk-export summary", "person-9");
    await audit("the desk");
    await page.getByRole("button", { name: "Erase…" }).click();
    await audit("the question");
    await page.getByRole("button", { name: "Leave it" }).click();
    await turnTo("Erasures");
    await page.locator("#erasures-list button").first().click();
    await shows("#erasure-state", "It is");
    await page.getByLabel("Id of an erasure").fill("x");
    await page.getByRole("button", { name: "Find", exact: true }).click();
    await shows("#erasures-problem", "UUID");
    await audit("erasures");
    await turnTo("Recommendations");
    await page.locator("#recommend-user").fill("person-3");
    await page.getByRole("button", { name: "Recommend", exact: true }).click();
    await shows("#recommend-result", "proven");
    await audit("recommendations");
    await turnTo("Catalogue");
    await page.getByRole("button", { name: "film-1", exact: true }).click();
    await page.getByRole("heading", { name: "Item film-1" }).waitFor();
    await audit("the catalogue");
    await turnTo("Overview");
    await page.locator("#key-state").click();
    await page.locator("#plot-bound polyline").waitFor({ state: "attached" });
    await audit("the overview");
  });
}

async function audit(what) {
  await page.addScriptTag({ path: AXE });
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = grave.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], what);
}

test("a phone's width needs no scrolling aside", async () => {
  await begin({ viewport: { width: 360, height: 740 } });
  await visit(open);
  await shows("#certificate", "position");
  for (const name of PAGES) {
    await turnTo(name);
    const wide = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
    assert.equal(wide, 0, name);
  }
});
