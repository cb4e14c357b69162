/** The page where somebody asks for erasures, and for restrictions, on behalf of others. */

import { events } from "./api.js";
import { add, cases } from "./cases.js";
import { byId, fill, say, table } from "./dom.js";
import { held } from "./held.js";
import { one, read } from "./names.js";
import * as problem from "./problem.js";
import { show } from "./progress.js";
import { count } from "./words.js";

/** Requests that are made at a time, and bytes that so many lines may have. */
const LINES_MAX = 10_000;
const FILE_BYTES_MAX = 8 * 1024 * 1024;

/** Requests of one page: an archive holds so many, with three files for each. */
const CASES_MAX = 20_000;

/** Bad lines that are shown, and numbers of other lines that are named. */
const BAD_MAX = 100;
const NUMBERS_MAX = 10;

/** What the lines of each kind are called. */
const LINES = {
  users: { lines: "Ids, one a line", file: "… or a file of ids, one a line" },
  items: { lines: "Ids, one a line", file: "… or a file of ids, one a line" },
  pairs: { lines: "Pairs, one a line: person,item", file: "… or a file of pairs" },
};

/** What is asked once more before each act. */
const QUESTIONS = {
  erasure: {
    head: "Erase for good?",
    yes: "Erase",
    text: (what) => `${what}: what is erased cannot be brought back by anybody.`,
  },
  restriction: {
    head: "Restrict processing?",
    yes: "Restrict",
    text: (what) =>
      `${what}: what is held is kept, leaves the model and all lists, and can be given back.`,
  },
  lifting: {
    head: "Lift the restriction?",
    yes: "Lift",
    text: (what) => `${what}: what was kept, and what came meanwhile, is learnt again.`,
  },
};

const ACTS = {
  erasure: (label) => label,
  restriction: (label) => `restriction of ${label}`,
  lifting: (label) => `end of the restriction of ${label}`,
};

/** What was asked for and awaits the second word. */
let wanted = null;

export const desk = {
  open() {
    show();
  },
  close() {},
};

function kind() {
  return byId("desk-kind").value;
}

/** What the form names, a request each. */
function named() {
  if (kind() === "pair") {
    const [user, item] = [byId("desk-user").value, byId("desk-item").value];
    return [one("pairs", { user, item })];
  }
  const { entries, bad } = checkLines();
  if (bad.length > 0) {
    throw mistake(`${count(bad.length, "line")} cannot be read. Mend or remove what is bad first.`);
  }
  if (entries.length === 0) {
    throw mistake("Write an id, or several, one a line, or choose a file.");
  }
  if (entries.length > LINES_MAX) {
    throw mistake(`There are ${entries.length} lines; take at most ${LINES_MAX} at a time.`);
  }
  if (entries.length + cases.length > CASES_MAX) {
    throw mistake("This page holds no more: take the archive, and load the page anew.");
  }
  return entries;
}

function mistake(text) {
  return Object.assign(new Error(text), { title: "Nothing is sent" });
}

/** Reads the lines, and says what becomes of each. */
function checkLines() {
  const found = read(byId("desk-ids").value, kind());
  say(byId("desk-check"), account(found));
  const rows = found.bad.slice(0, BAD_MAX).map(({ line, why }) => [line, why]);
  const caption =
    rows.length < found.bad.length
      ? `The first ${rows.length} of ${count(found.bad.length, "bad line")}`
      : count(found.bad.length, "bad line");
  fill(byId("desk-bad"), rows.length > 0 && table(caption, ["line", "what is wrong"], rows));
  return found;
}

/** What there is of each kind of line: no line is in none. */
function account({ entries, bad, repeated, empty, headings }) {
  const parts = [`${count(entries.length, "line")} to send`];
  if (bad.length > 0) {
    parts.push(`${bad.length} bad`);
  }
  if (repeated.length > 0) {
    parts.push(`${repeated.length} repeated and counted once (${numbers(repeated)})`);
  }
  if (headings.length > 0) {
    parts.push(`1 heading (${numbers(headings)})`);
  }
  if (empty.length > 0) {
    parts.push(`${empty.length} empty`);
  }
  return `${parts.join(", ")}.`;
}

function numbers(lines) {
  const first = lines.slice(0, NUMBERS_MAX).join(", ");
  const more = lines.length > NUMBERS_MAX ? ", …" : "";
  return `${lines.length === 1 ? "line" : "lines"} ${first}${more}`;
}

function forgetCheck() {
  say(byId("desk-check"), "");
  fill(byId("desk-bad"));
}

/** Does something with what the form names, and shows what is wrong with it. */
async function withNamed(use) {
  try {
    const entries = named();
    problem.clear(byId("desk-problem"));
    await use(entries);
  } catch (error) {
    problem.show(byId("desk-problem"), error);
  }
}

function showHeld() {
  fill(byId("desk-export"));
  return withNamed(async (entries) => fill(byId("desk-export"), ...(await held(entries))));
}

function askAgain(act) {
  return withNamed((entries) => {
    const label = ACTS[act];
    wanted = { act, entries: entries.map((entry) => ({ ...entry, label: label(entry.label) })) };
    const [first] = wanted.entries;
    const what =
      entries.length === 1
        ? first.label
        : `${count(entries.length, act === "lifting" ? "end of a restriction" : act, pluralOf(act))}, one a line`;
    const { head, yes, text } = QUESTIONS[act];
    say(byId("confirm-head"), head);
    say(byId("confirm-text"), text(what));
    say(byId("confirm-yes"), yes);
    byId("confirm").showModal();
  });
}

function pluralOf(act) {
  return act === "lifting" ? "ends of restrictions" : `${act}s`;
}

function goAhead() {
  byId("confirm").close();
  const { act, entries } = wanted;
  wanted = null;
  for (const id of ["desk-ids", "desk-user", "desk-item", "desk-file"]) {
    byId(id).value = "";
  }
  fill(byId("desk-export"));
  forgetCheck();
  add(act, entries);
  byId("cases-head").focus();
}

/** Puts the lines of a file into the form. */
async function takeFile(file) {
  try {
    if (file.size > FILE_BYTES_MAX) {
      throw mistake(`The file is too large; take at most ${LINES_MAX} lines at a time.`);
    }
    byId("desk-ids").value = textOf(await file.arrayBuffer());
    problem.clear(byId("desk-problem"));
    checkLines();
  } catch (error) {
    byId("desk-file").value = "";
    problem.show(byId("desk-problem"), error);
  }
}

/** Ids in another encoding would be those of others. */
function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw mistake("The file is not in UTF-8: its ids would be read wrong. Save it in UTF-8.");
  }
}

function showKind() {
  const isPair = kind() === "pair";
  byId("desk-lines").hidden = isPair;
  byId("desk-pair").hidden = !isPair;
  byId("desk-read").hidden = isPair;
  byId("desk-restrict").hidden = kind() !== "users";
  byId("desk-lift").hidden = kind() !== "users";
  if (!isPair) {
    say(byId("desk-ids-label"), LINES[kind()].lines);
    say(byId("desk-file-label"), LINES[kind()].file);
  }
  problem.clear(byId("desk-problem"));
  forgetCheck();
}

byId("desk-kind").addEventListener("change", showKind);
byId("desk-ids").addEventListener("input", forgetCheck);
byId("desk-file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file !== undefined) {
    takeFile(file);
  }
});
byId("desk-read").addEventListener("click", () => {
  problem.clear(byId("desk-problem"));
  checkLines();
});
byId("desk-held").addEventListener("click", showHeld);
byId("desk-restrict").addEventListener("click", () => askAgain("restriction"));
byId("desk-lift").addEventListener("click", () => askAgain("lifting"));
byId("desk-form").addEventListener("submit", (event) => {
  event.preventDefault();
  askAgain("erasure");
});
byId("confirm-no").addEventListener("click", () => byId("confirm").close());
byId("confirm-yes").addEventListener("click", goAhead);
// Another key may not see what this one could.
events.addEventListener("key", () => fill(byId("desk-export")));
