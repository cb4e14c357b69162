/** The console in a browser, against the program that `RECANT_BINARY` names. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { chromium } from "playwright-core";

import { Receiver } from "./receiver.js";
import { KEYS, Server } from "./server.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PAGES = [
  "Overview",
  "Erasures",
  "Erasure desk",
  "Recommendations",
  "Catalogue",
  "Webhooks",
  "Access",
];

/** What all files of the page may weigh together, in bytes as they are. */
const WEIGHT_MAX = 200_000;

/** Whoever is erased or asked about: no address may ever hold it. */
const PERSON = "person-7";

let open;
let locked;
let receiver;
let browser;
let context;
let page;
let faults;
let addresses;

before(async () => {
  receiver = await Receiver.start({ "/well": 204, "/ill": 500, "/gone": 410, "/few": 500 });
  const endpoints = ["well", "ill", "gone"].map((name) => receiver.section(name, `/${name}`));
  endpoints.push(receiver.section("few", "/few", "waiting_max = 1"));
  open = await Server.start({ hasKeys: false, more: endpoints.join("") });
  locked = await Server.start({ hasKeys: true });
  const executablePath = process.env["RECANT_CHROMIUM"] ?? "/usr/bin/chromium";
  browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--headless"] });
});

after(async () => {
  await browser?.close();
  await open?.remove();
  await locked?.remove();
  await receiver?.stop();
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

/** Chooses a file of this content at the desk. */
async function choose(name, content) {
  const buffer = Buffer.from(content);
  await page.locator("#desk-file").setInputFiles({ name, mimeType: "text/plain", buffer });
}

/** How often the page asked for erasures. */
function posted() {
  return addresses.filter((address) => address.endsWith("/erasures")).length;
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
  await inspectArchive(archive.path, /person person-7[\s\S]*It holds\.[\s\S]*person person-8/);

  // What was erased is held no more, and recommended by popularity.
  await page.getByLabel("Ids, one a line", { exact: true }).fill(PERSON);
  await page.getByRole("button", { name: "See what is held" }).click();
  await shows("#desk-export summary", /person-7: 0 interactions/);
});

/**
 * Opens the archive of two requests with another program, has `recant verify` judge what is in it, with more flags
 * for some, and compares the report.
 */
async function inspectArchive(path, told, more = () => []) {
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
        ...more(id),
      );
      assert.match(said, /the signature holds/);
      assert.match(said, /the salt opens it/);
    }
    const report = await readFile(join(folder, "report.html"), "utf8");
    const reader = await context.newPage();
    await reader.setContent(report);
    assert.equal(await reader.locator("section").count(), 2);
    const text = await reader.locator("body").innerText();
    assert.match(text, told);
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

test("pairs come from a file, every line of it is accounted for, and each has its receipt", async () => {
  await visit(open, "Erasure desk");
  await page.getByLabel("What is named").selectOption("pairs");
  const good = ["person-13,film-1", "person-14,film-2"];
  await choose("pairs.csv", ["user,item", good[0], "person-15", good[1], "", good[0]].join("\n"));
  await shows(
    "#desk-check",
    "2 lines to send, 1 bad, 1 repeated and counted once (line 6), 1 heading (line 1), 1 empty.",
  );
  await shows("#desk-bad tbody", /^3\s*It has one column where user and item should be\.$/);
  await page.getByRole("button", { name: "Erase…" }).click();
  await shows("#desk-problem", "Nothing is sent. 1 line cannot be read.");
  assert.equal(await page.getByRole("dialog").count(), 0);
  await choose("latin.csv", [0x61, 0x2c, 0xe9]);
  await shows("#desk-problem", "not in UTF-8");
  assert.equal(posted(), 0);

  const lines = good.map((line) => line.split(",")).map(([user, item]) => ({ user, item }));
  await choose("pairs.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  await shows("#desk-check", /^2 lines to send\.$/);
  await page.getByRole("button", { name: "See what is held" }).click();
  assert.equal(await waitForCount("#desk-export details", 2), 2);
  await page.getByRole("button", { name: "Erase…" }).click();
  await shows("#confirm-text", "2 erasures, one a line");
  await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
  await shows("#cases-state", "2 of 2 erasures certified");
  assert.equal(posted(), 2);
  const archive = await downloaded(() =>
    page.getByRole("button", { name: "Download the archive" }).click(),
  );
  await inspectArchive(archive.path, /person-13 with film-1[\s\S]*person-14 with film-2/);
});

/** The number of elements once there are so many. */
async function waitForCount(selector, count) {
  const all = page.locator(selector);
  await all.nth(count - 1).waitFor();
  return all.count();
}

test("sending stops when told to, goes on, and what was not sent is taken back", async () => {
  await visit(open, "Erasure desk");
  const held = [];
  let arrived;
  let count = 0;
  // Every second request is held until it is let go.
  await page.route("**/erasures", async (route) => {
    count += 1;
    if (count % 2 === 0) {
      await new Promise((release) => {
        held.push(release);
        arrived();
      });
    }
    await route.continue();
  });
  const nextHeld = () => new Promise((resolve) => (arrived = resolve));
  let isHeld = nextHeld();
  await choose("people.txt", [33, 34, 35, 36, 37, 38].map((it) => `person-${it}\n`).join(""));
  await page.getByRole("button", { name: "Erase…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Erase" }).click();
  await isHeld;
  await page.getByRole("button", { name: "Stop sending" }).click();
  held.pop()();
  await shows("#cases-state", "2 of 6 erasures certified, 4 not sent yet, stopped.");
  assert.equal(posted(), 2);

  isHeld = nextHeld();
  await page.getByRole("button", { name: "Go on sending" }).click();
  await isHeld;
  await page.getByRole("button", { name: "Stop sending" }).click();
  await page.getByRole("button", { name: "Take back what is not sent" }).click();
  assert.equal(await focused(), "cases-head");
  held.pop()();
  await shows("#cases-state", /^4 of 4 erasures certified\.$/);
  assert.equal(posted(), 4);
  assert.equal(await page.locator("#cases-stop").isVisible(), false);
  assert(await page.locator("#cases-progress").evaluate((bar) => bar.value === bar.max));
});

test("a person is restricted, with a receipt that says so, and the restriction is lifted", async () => {
  await visit(open, "Erasure desk");
  await lookAt("person-16", "Processing is not restricted");
  const before = await page.locator("#desk-export summary").innerText();
  await page.getByLabel("Ids, one a line", { exact: true }).fill("person-16\nperson-17");
  await page.getByRole("button", { name: "Restrict…" }).click();
  await shows("#confirm-text", "2 restrictions, one a line: what is held is kept");
  await page.getByRole("dialog").getByRole("button", { name: "Leave it" }).click();
  assert.equal(await page.locator("#cases").isVisible(), false);
  await page.getByRole("button", { name: "Restrict…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restrict" }).click();
  await shows("#cases-state", "2 of 2 restrictions certified");
  for (const row of await page.locator("#cases-list tbody tr").all()) {
    assert.match(await row.innerText(), /restriction of person[\s\S]*It holds\./);
  }
  const archive = await downloaded(() =>
    page.getByRole("button", { name: "Download the archive" }).click(),
  );
  const told = /Restriction [\s\S]*restriction of person person-16[\s\S]*Restriction /;
  await inspectArchive(archive.path, told, () => ["--restriction"]);
  const [id] = await page.locator("#cases-list code").allInnerTexts();

  await lookAt("person-16", "Processing is restricted");
  assert.equal(await page.locator("#desk-export summary").innerText(), `${before}, restricted`);
  await page.getByRole("button", { name: "Lift the restriction…" }).click();
  await shows("#confirm-text", "end of the restriction of person person-16");
  await page.getByRole("dialog").getByRole("button", { name: "Lift" }).click();
  await shows("#cases-state", "2 of 2 restrictions certified, 1 restriction lifted.");
  // What was kept is shown once it is learnt again.
  do {
    await lookAt("person-16", "Processing is not restricted");
  } while ((await page.locator("#desk-export summary").innerText()) !== before);
  await lookAt("person-17", "Processing is restricted");

  await turnTo("Erasures");
  await page.getByLabel("Id of an erasure").fill(id);
  await page.getByRole("button", { name: "Find", exact: true }).click();
  await page.getByRole("heading", { name: `Restriction ${id}` }).waitFor();
  await shows("#erasure .timeline", /restricted[\s\S]*left what is processed/);
});

/** Sees what is held of somebody, who is restricted or not. */
async function lookAt(user, state) {
  await page.getByLabel("Ids, one a line", { exact: true }).fill(user);
  await page.getByRole("button", { name: "See what is held" }).click();
  await shows("#desk-export details", new RegExp(`${user}[\\s\\S]*${state}`));
}

test("webhooks: what each endpoint has been told, what fails and why, and that it mends", async () => {
  receiver.answer("/ill", 500);
  await visit(open, "Erasure desk");
  await erase("person-18\nperson-19");
  await shows("#cases-state", "2 of 2 erasures certified");
  await turnTo("Webhooks");
  const of = (name) => page.getByRole("region", { name, exact: true });
  await of("well").getByText("It has been told of everything.").waitFor();
  await of("ill").getByText("It does not take what it is sent: it answered 500.").waitFor();
  await of("gone").getByText("It answered 410, that it wants no more").waitFor();
  await of("few")
    .getByText(/It was not told \d+ states?, and will not be/)
    .waitFor();
  await shows("#webhooks-state", "4 endpoints, 3 of them not well.");
  assert.match(await of("ill").innerText(), /last failure\s+\S.*: it answered 500/);
  assert.match(await of("well").innerText(), /given up\s+0\s+dropped\s+0/);
  assert.match(await of("well").innerText(), /whpk_/);
  receiver.answer("/ill", 200);
  await of("ill").getByText("It has been told of everything.").waitFor();
  await shows("#webhooks-state", "4 endpoints, 2 of them not well.");
  const { port } = new URL(open.url);
  assert(!(await page.locator("#page-webhooks").innerText()).includes(port), "no address");
});

test("access: which roles the key in use has, found without changing anything", async () => {
  await visit(open, "Access");
  await shows("#access-state", "The server has no API keys");
  assert.equal(await page.locator("#access-roles table").count(), 0);
  await visit(locked, "Access");
  await shows("#access-state", "takes an API key, and none is in use here");
  const before = await heldBy(locked);
  for (const [key, said, rows] of [
    [KEYS.reader, "has the role read.", ["yes", "no", "no", "no"]],
    [KEYS.writer, "has the roles read, write.", ["yes", "yes", "no", "no"]],
    [KEYS.eraser, "has the role erase.", ["no", "no", "yes", "no"]],
    [KEYS.admin, "has the role admin, which opens everything.", ["yes", "yes", "yes", "yes"]],
  ]) {
    await useKey(key);
    await shows("#access-state", said);
    const cells = await page.locator("#access-roles td:last-child").allInnerTexts();
    assert.deepEqual(cells, rows, said);
  }
  await useKey("no such key");
  await shows("#access-state", "does not know the key");
  assert.equal(await page.locator("#access-roles table").count(), 0);
  await shows("#page-access", "recant keys api create");
  assert.deepEqual(await heldBy(locked), before);
});

/** How much the model of a server is made of. */
async function heldBy(server) {
  const headers = { authorization: `Bearer ${KEYS.reader}` };
  const answer = await page.request.get(`${server.url}/model`, { headers });
  const { users, items, interactions } = await answer.json();
  return { users, items, interactions };
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
  await turnTo("Webhooks");
  await shows("#webhooks-problem", /role “admin”.*does not have it/s);
  assert.equal(await page.locator("#webhooks-list").innerText(), "");
  await turnTo("Erasure desk");
  await page.getByLabel("Ids, one a line", { exact: true }).fill(PERSON);
  await page.getByRole("button", { name: "Restrict…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Restrict" }).click();
  await shows("#cases-problem", /role “erase”.*does not have it/s);
  await page.getByRole("button", { name: "Stop sending" }).click();
  await page.getByRole("button", { name: "Take back what is not sent" }).click();
  assert.equal(await page.locator("#cases").isVisible(), false);
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
  // Nobody knows whether it arrived, so it can be held back and not taken back.
  await page.getByRole("button", { name: "Stop sending" }).click();
  await shows("#cases-state", "1 not sent yet, stopped");
  assert.equal(await page.locator("#cases-back").isVisible(), false);
  await page.getByRole("button", { name: "Go on sending" }).click();
  await open.serve();
  await shows("#health", "The server is ready");
  await shows("#cases-state", "1 of 1 erasure certified");
  assert.equal(await page.locator("#cases-problem").innerText(), "");
  assert(posted() >= 2, "it was sent again");
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
    await page.getByLabel("What is named").selectOption("pairs");
    await choose("pairs.csv", "person-9,film-1\nperson-9\n");
    await shows("#desk-bad", "one column");
    await page.getByRole("button", { name: "Erase…" }).click();
    await shows("#desk-problem", "Nothing is sent");
    await audit("bad lines");
    await page.getByLabel("What is named").selectOption("users");
    await page.getByLabel("Ids, one a line", { exact: true }).fill("person-9");
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
    await turnTo("Webhooks");
    await shows("#webhooks-list", "gone");
    await audit("webhooks");
    await turnTo("Access");
    await shows("#access-state", "no API keys");
    await audit("access");
    await turnTo("Overview");
    await page.locator("#key-state").click();
    await page.locator("#plot-bound polyline").waitFor({ state: "attached" });
    await audit("the overview");
  });
}

test("how several nodes stand is told, and of a single one nothing", async () => {
  await begin({ bypassCSP: true });
  await visit(open);
  await shows("#certificate", "position");
  assert.equal(await page.locator("#nodes").isVisible(), false);
  const node = {
    node: "n1",
    role: "leader",
    state: "current",
    applied: 41_203,
    version: 42,
    version_term: 7,
    lease_remaining_seconds: 14.6,
  };
  const away = { ...node, node: "<n2>", role: "replica", state: "owing", version: null };
  Object.assign(away, { version_term: null, lease_remaining_seconds: null });
  const cluster = { role: "leader", node: "n1", term: 7, entries_behind: 0, why: null };
  await page.route("**/cluster", (route) =>
    route.fulfill({ json: { ...cluster, nodes: [node, away] } }),
  );
  await visit(open);
  await shows("#nodes-state", "This is n1, leader in term 7, 0 entries behind the log.");
  await shows("#nodes-list", /n1.*leader.*current.*41,203.*42 of term 7.*15 s/);
  await shows("#nodes-list", /<n2>.*replica.*owing: it has still to erase.*not known.*none known/);
  await audit("nodes");
  const ill = { ...cluster, why: "log_went_back", nodes: [] };
  await page.unroute("**/cluster");
  await page.route("**/cluster", (route) => route.fulfill({ json: ill }));
  await shows("#nodes-state .bad", "It takes no requests: the log ends before what it has applied");
  await page.unroute("**/cluster");
  await page.locator("#nodes").waitFor({ state: "hidden" });
});

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
