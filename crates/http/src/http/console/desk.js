/** The page where somebody asks for erasures on behalf of others. */

import { ask, events } from "./api.js";
import { add, cases, changes, currentTrouble, hasUntaken, publishedKeys, taken } from "./cases.js";
import { word } from "./check.js";
import { byId, download, fill, make, say, table } from "./dom.js";
import * as problem from "./problem.js";
import { files, report } from "./report.js";
import { count } from "./words.js";
import { zip } from "./zip.js";

/** Names a request may hold, and so lines of a file. */
const LINES_MAX = 10_000;

/** People whose data are looked at together, and rows that are shown of a long table. */
const LOOKED_AT_MAX = 100;
const ROWS_MAX = 200;

/** What was asked for and awaits the second word. */
let wanted = [];

export const desk = {
  open() {
    show();
  },
  close() {},
};

function kind() {
  return byId("desk-kind").value;
}

function lines() {
  const ids = byId("desk-ids").value.split("\n");
  return [...new Set(ids.map((id) => id.trim()).filter((id) => id !== ""))];
}

function pair() {
  return { user: byId("desk-user").value.trim(), item: byId("desk-item").value.trim() };
}

/** What the form names, an erasure each. */
function named() {
  if (kind() === "interactions") {
    const { user, item } = pair();
    if (user === "" || item === "") {
      throw mistake("Name the person and the item.");
    }
    return [{ label: `${user} with ${item}`, names: { interactions: [{ user, item }] } }];
  }
  const ids = lines();
  if (ids.length === 0) {
    throw mistake("Write an id, or several, one a line.");
  }
  if (ids.length > LINES_MAX) {
    throw mistake(`There are ${ids.length} lines; take at most ${LINES_MAX} at a time.`);
  }
  const noun = kind() === "users" ? "person" : "item";
  return ids.map((id) => ({ label: `${noun} ${id}`, names: { [kind()]: [id] } }));
}

function mistake(text) {
  return Object.assign(new Error(text), { title: "Nothing is named" });
}

async function showHeld() {
  const place = byId("desk-export");
  try {
    const all = named();
    problem.clear(byId("desk-problem"));
    if (kind() === "items") {
      fill(place, await Promise.all(all.slice(0, LOOKED_AT_MAX).map(describeItem)));
      return;
    }
    const users = kind() === "users" ? lines() : [pair().user];
    const found = [];
    for (const user of users.slice(0, LOOKED_AT_MAX)) {
      found.push(await ask("export", exportOf(user)));
    }
    fill(
      place,
      users.length > LOOKED_AT_MAX &&
        make("p", {}, `The first ${LOOKED_AT_MAX} of ${users.length}:`),
      found.map((held) => heldOf(held, found.length === 1)),
    );
  } catch (error) {
    fill(place);
    problem.show(byId("desk-problem"), error);
  }
}

function exportOf(user) {
  return {
    method: "POST",
    body: { user },
    headers: { accept: "application/json" },
    needs: "admin",
  };
}

async function describeItem({ names }) {
  const [id] = names.items;
  try {
    const item = await ask(`items/${encodeURIComponent(id)}`, { needs: "read" });
    return make("p", {}, `${id}: in the catalogue as “${item.title ?? "(no title)"}”.`);
  } catch (error) {
    if (error.status === 404) {
      return make("p", {}, `${id}: there is no such item.`);
    }
    throw error;
  }
}

function heldOf(held, isOpen) {
  const { user, properties, interactions } = held;
  const said = Object.entries(properties);
  const rows = interactions
    .slice(0, ROWS_MAX)
    .map((row) => [row.title ?? row.item, row.type, row.weight, when(row.timestamp)]);
  const caption =
    rows.length < interactions.length
      ? `The first ${rows.length} of ${interactions.length} interactions`
      : count(rows.length, "interaction");
  return make(
    "details",
    { open: isOpen },
    make(
      "summary",
      {},
      `${user}: ${count(interactions.length, "interaction")}, ${count(said.length, "property", "properties")}`,
    ),
    said.map(([name, value]) => make("p", {}, `${name}: ${value}`)),
    rows.length > 0 && table(caption, ["item", "what was done", "weight", "when"], rows),
    make(
      "button",
      {
        type: "button",
        click: () => download("export.json", JSON.stringify(held, null, 2), "application/json"),
      },
      "Download what is held",
    ),
  );
}

/** Times come in the unit that the source had: what is no time of this age is shown as it is. */
function when(timestamp) {
  if (timestamp === undefined) {
    return "";
  }
  const seconds = timestamp > 1e11 ? timestamp / 1000 : timestamp;
  return seconds > 1e8 && seconds < 1e11 ? new Date(seconds * 1000).toLocaleString() : timestamp;
}

function confirmErasure(event) {
  event.preventDefault();
  try {
    wanted = named();
    problem.clear(byId("desk-problem"));
  } catch (error) {
    problem.show(byId("desk-problem"), error);
    return;
  }
  const what =
    wanted.length === 1 ? wanted[0].label : `${count(wanted.length, "erasure")}, one a line`;
  say(byId("confirm-text"), `${what}: what is erased cannot be brought back by anybody.`);
  byId("confirm").showModal();
}

function erase() {
  byId("confirm").close();
  const those = wanted;
  wanted = [];
  for (const id of ["desk-ids", "desk-user", "desk-item", "desk-file"]) {
    byId(id).value = "";
  }
  fill(byId("desk-export"));
  add(those);
  byId("cases-head").focus();
}

function show() {
  byId("cases").hidden = cases.length === 0;
  const trouble = currentTrouble();
  if (trouble === null) {
    problem.clear(byId("cases-problem"));
  } else {
    problem.show(byId("cases-problem"), trouble);
  }
  say(byId("cases-state"), summary());
  const rows = cases
    .slice(0, ROWS_MAX)
    .map((one) => [
      one.label,
      one.state === "refused" ? `refused: ${one.problem}` : one.state,
      make("code", {}, one.id ?? ""),
      receiptOf(one),
      make("code", {}, one.salt ?? ""),
    ]);
  const heads = ["what", "state", "erasure", "receipt", "salt"];
  const caption =
    cases.length > ROWS_MAX
      ? `The first ${ROWS_MAX} of ${cases.length}`
      : count(cases.length, "erasure");
  fill(byId("cases-list"), table(caption, heads, rows));
  const hasSome = cases.some((one) => one.id !== undefined);
  byId("archive").disabled = !hasSome;
  byId("report").disabled = !hasSome;
  byId("salts-warning").hidden = !hasUntaken();
}

function receiptOf({ result }) {
  return result === undefined ? "" : make("span", { title: result.lines.join(" ") }, word(result));
}

function summary() {
  const certified = cases.filter((one) => one.state === "certified").length;
  const refused = cases.filter((one) => one.state === "refused").length;
  const waiting = cases.filter((one) => one.state === "waiting").length;
  const parts = [`${certified} of ${count(cases.length, "erasure")} certified`];
  if (waiting > 0) {
    parts.push(`${waiting} not sent yet`);
  }
  if (refused > 0) {
    parts.push(`${refused} refused`);
  }
  return `${parts.join(", ")}.`;
}

function options() {
  return { isNamed: byId("desk-named").checked, service: location.host, keys: publishedKeys() };
}

byId("desk-kind").addEventListener("change", () => {
  byId("desk-lines").hidden = kind() === "interactions";
  byId("desk-pair").hidden = kind() !== "interactions";
});
byId("desk-file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file !== undefined) {
    byId("desk-ids").value = await file.text();
  }
});
byId("desk-held").addEventListener("click", showHeld);
byId("desk-form").addEventListener("submit", confirmErasure);
byId("confirm-no").addEventListener("click", () => byId("confirm").close());
byId("confirm-yes").addEventListener("click", erase);
byId("archive").addEventListener("click", () => {
  download("erasures.zip", zip(files(cases, options())), "application/zip");
  taken();
  show();
});
byId("report").addEventListener("click", () =>
  download("erasures.html", report(cases, options()), "text/html"),
);
changes.addEventListener("change", show);
// Another key may not see what this one could.
events.addEventListener("key", () => fill(byId("desk-export")));
window.addEventListener("beforeunload", (event) => {
  if (hasUntaken()) {
    event.preventDefault();
  }
});
