/** The page of all erasures, of one of them, and of receipts. */

import { ask, askText } from "./api.js";
import { inclusionOf } from "./cases.js";
import { check, verdict } from "./check.js";
import { byId, download, fill, make, say, table } from "./dom.js";
import * as problem from "./problem.js";
import { statement, timeline } from "./timeline.js";
import { count, moment } from "./words.js";

const NEEDS = { needs: "erase" };

/** Milliseconds between two looks at an erasure that goes on. */
const PAUSE = 2_000;

let cursor = null;
let next = null;
let shown = null;
let timer;

export const erasures = {
  open() {
    list();
    if (shown !== null) {
      find(shown);
    }
  },
  close() {
    clearTimeout(timer);
  },
};

/** Where the calls of an erasure are. */
function path(id, part = "") {
  return `erasures/${encodeURIComponent(id)}${part}`;
}

async function list() {
  const query = new URLSearchParams({ limit: byId("erasures-limit").value });
  const status = byId("erasures-status").value;
  if (status !== "") {
    query.set("status", status);
  }
  if (cursor !== null) {
    query.set("cursor", cursor);
  }
  try {
    const page = await ask(`erasures?${query}`, NEEDS);
    problem.clear(byId("erasures-problem"));
    next = page.next_cursor;
    showList(page.erasures);
  } catch (error) {
    problem.show(byId("erasures-problem"), error);
    if (error.needs !== undefined) {
      next = null;
      fill(byId("erasures-list"));
      close();
    }
  }
  byId("erasures-next").disabled = next === null;
  byId("erasures-first").disabled = cursor === null;
}

function showList(found) {
  if (found.length === 0) {
    fill(byId("erasures-list"), make("p", {}, "There are none that your key may see."));
    return;
  }
  const rows = found.map((erasure) => [
    make("button", { type: "button", class: "link", click: () => open(erasure.id) }, erasure.id),
    erasure.kind,
    erasure.status,
    moment(erasure.accepted_at),
    moment(erasure.certified_at),
  ]);
  const caption = `${count(found.length, "erasure")}, newest first`;
  fill(
    byId("erasures-list"),
    table(caption, ["id", "kind", "state", "accepted", "certified"], rows),
  );
}

async function open(id) {
  fill(byId("erasure-problem"));
  if (await find(id)) {
    byId("erasure-head").focus();
  }
}

/** Shows an erasure, and goes on while it does; tells whether it was there. */
async function find(id) {
  clearTimeout(timer);
  try {
    const erasure = await ask(path(id), NEEDS);
    problem.clear(byId("erasures-problem"));
    shown = erasure.id;
    show(erasure);
    if (erasure.status !== "certified") {
      timer = setTimeout(() => find(id), PAUSE);
    }
    return true;
  } catch (error) {
    problem.show(byId("erasures-problem"), error);
    if (!error.passes) {
      close();
    }
    return false;
  }
}

function close() {
  shown = null;
  clearTimeout(timer);
  byId("erasure").hidden = true;
}

function show(erasure) {
  byId("erasure").hidden = false;
  const name = erasure.kind === "restriction" ? "Restriction" : "Erasure";
  say(byId("erasure-head"), `${name} ${erasure.id}`);
  say(byId("erasure-state"), `It is ${erasure.status}.`);
  fill(byId("erasure-body"), timeline(erasure), statement(erasure));
  byId("erasure-actions").hidden = erasure.status !== "certified";
}

/** Does something with the receipt of the erasure that is shown. */
async function withReceipt(part, use) {
  const id = shown;
  try {
    await use(id, await askText(path(id, part), NEEDS));
  } catch (error) {
    problem.show(byId("erasure-problem"), error);
  }
}

async function readChecked(event) {
  event.preventDefault();
  const [user, item, salt] = ["user", "item", "salt"].map((name) =>
    byId(`check-${name}`).value.trim(),
  );
  try {
    if ((salt === "") !== (user === "" && item === "")) {
      throw Object.assign(new Error("Give the salt together with a person, an item, or both."), {
        title: "Something is missing",
      });
    }
    const about = salt === "" ? {} : { salt, names: named(user, item) };
    fill(byId("check-result"), verdict(await check(byId("check-text").value, about)));
  } catch (error) {
    problem.show(byId("check-result"), error);
  }
}

function named(user, item) {
  if (user !== "" && item !== "") {
    return { interactions: [{ user, item }] };
  }
  return user !== "" ? { users: [user] } : { items: [item] };
}

byId("erasures-form").addEventListener("submit", (event) => {
  event.preventDefault();
  cursor = null;
  list();
});
byId("erasures-first").addEventListener("click", () => {
  cursor = null;
  list();
});
byId("erasures-next").addEventListener("click", () => {
  cursor = next;
  list();
});
byId("erasure-form").addEventListener("submit", (event) => {
  event.preventDefault();
  open(byId("erasure-id").value.trim());
});
byId("receipt-verify").addEventListener("click", () =>
  withReceipt("/receipt", async (id, text) => {
    fill(
      byId("erasure-problem"),
      verdict(await check(text, { id, inclusion: await inclusionOf(id) })),
    );
    byId("check-text").value = text;
  }),
);
byId("receipt-download").addEventListener("click", () =>
  withReceipt("/receipt", (id, text) => download(`${id}.jws`, text, "application/jose")),
);
byId("inclusion-download").addEventListener("click", () =>
  withReceipt("/inclusion", (id, text) => download(`${id}.tlog-proof`, text, "text/plain")),
);
byId("check-form").addEventListener("submit", readChecked);
byId("check-file").addEventListener("change", async (event) => {
  const [file] = event.target.files;
  if (file !== undefined) {
    byId("check-text").value = await file.text();
  }
});
