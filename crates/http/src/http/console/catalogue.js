/** The page of the items: finding, hiding and describing them. */

import { ask } from "./api.js";
import { byId, fill, make, say, table } from "./dom.js";
import * as problem from "./problem.js";
import { count } from "./words.js";

const LIMIT = "50";

let cursor = null;
let next = null;
let edited = null;

export const catalogue = {
  open() {
    list();
  },
  close() {},
};

async function list() {
  const query = new URLSearchParams({ limit: LIMIT });
  const filter = byId("catalogue-filter").value.trim();
  if (filter !== "") {
    query.set("filter", filter);
  }
  if (cursor !== null) {
    query.set("cursor", cursor);
  }
  try {
    const page = await ask(`items?${query}`, { needs: "read" });
    problem.clear(byId("catalogue-problem"));
    next = page.next_cursor;
    showList(page.items);
  } catch (error) {
    problem.show(byId("catalogue-problem"), error);
    if (!error.passes) {
      next = null;
      say(byId("catalogue-state"), "");
      fill(byId("catalogue-list"));
      close();
    }
  }
  byId("catalogue-next").disabled = next === null;
  byId("catalogue-first").disabled = cursor === null;
}

function showList(items) {
  const more = next === null ? "" : "; there may be more on the next page";
  say(byId("catalogue-state"), `${count(items.length, "item")} on this page${more}.`);
  const heads = ["id", "title", "tags", "properties", "in lists", ""];
  const rows = items.map((item) => [
    make("button", { type: "button", class: "link", click: () => edit(item) }, item.id),
    item.title ?? "",
    item.tags.join(", "),
    Object.entries(item.properties)
      .map(([name, value]) => `${name}: ${value}`)
      .join(", "),
    item.hidden ? "hidden" : "shown",
    make(
      "button",
      {
        type: "button",
        "aria-label": `${item.hidden ? "Show" : "Hide"} ${item.id}`,
        click: () => hide(item),
      },
      item.hidden ? "Show" : "Hide",
    ),
  ]);
  fill(byId("catalogue-list"), items.length > 0 && table("Items", heads, rows));
}

function change(id, body) {
  return ask(`items/${encodeURIComponent(id)}`, { method: "PATCH", body, needs: "write" });
}

async function hide(item) {
  try {
    const now = await change(item.id, { hidden: !item.hidden });
    await list();
    say(byId("catalogue-state"), `${now.id} is ${now.hidden ? "hidden" : "shown"} now.`);
    focusOn(now.id);
  } catch (error) {
    problem.show(byId("catalogue-problem"), error);
  }
}

/** The list was made anew: the focus goes to where it was. */
function focusOn(id) {
  const buttons = byId("catalogue-list").querySelectorAll("button[aria-label]");
  const wanted = new Set([`Hide ${id}`, `Show ${id}`]);
  Array.from(buttons)
    .find((button) => wanted.has(button.getAttribute("aria-label")))
    ?.focus();
}

async function find(event) {
  event.preventDefault();
  const id = byId("item-find").value.trim();
  try {
    const item = await ask(`items/${encodeURIComponent(id)}`, { needs: "read" });
    problem.clear(byId("catalogue-problem"));
    edit(item);
  } catch (error) {
    problem.show(byId("catalogue-problem"), error);
  }
}

function edit(item) {
  edited = item;
  problem.clear(byId("item-problem"));
  byId("item").hidden = false;
  say(byId("item-head"), `Item ${item.id}`);
  byId("item-title").value = item.title ?? "";
  byId("item-tags").value = item.tags.join("\n");
  byId("item-properties").value = JSON.stringify(item.properties, null, 2);
  byId("item-hidden").checked = item.hidden;
  byId("item-head").focus();
}

function close() {
  edited = null;
  byId("item").hidden = true;
}

async function save(event) {
  event.preventDefault();
  try {
    const now = await change(edited.id, changes());
    edit(now);
    await list();
    say(byId("catalogue-state"), `${now.id} is saved, and in every list as it is now.`);
  } catch (error) {
    problem.show(byId("item-problem"), error);
  }
}

/** What the form says otherwise than the item; what is not changed here stays what somebody else made it. */
function changes() {
  const title = byId("item-title").value.trim();
  const tags = byId("item-tags")
    .value.split("\n")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
  const hidden = byId("item-hidden").checked;
  const properties = changedProperties(edited.properties, readProperties());
  return {
    ...(title !== (edited.title ?? "") && { title: title === "" ? null : title }),
    ...(tags.join("\n") !== edited.tags.join("\n") && { tags }),
    ...(hidden !== edited.hidden && { hidden }),
    ...(Object.keys(properties).length > 0 && { properties }),
  };
}

function readProperties() {
  let read;
  try {
    read = JSON.parse(byId("item-properties").value.trim() || "{}");
  } catch {
    read = null;
  }
  if (typeof read !== "object" || read === null || Array.isArray(read)) {
    const title = "The properties cannot be read";
    throw Object.assign(new Error('They are a JSON object, as {"year": 1965}.'), { title });
  }
  return read;
}

function changedProperties(before, after) {
  const changed = Object.entries(after).filter(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]),
  );
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(after, name));
  return Object.fromEntries([...changed, ...gone.map((name) => [name, null])]);
}

byId("catalogue-form").addEventListener("submit", (event) => {
  event.preventDefault();
  cursor = null;
  list();
});
byId("catalogue-first").addEventListener("click", () => {
  cursor = null;
  list();
});
byId("catalogue-next").addEventListener("click", () => {
  cursor = next;
  list();
});
byId("item-find-form").addEventListener("submit", find);
byId("item-form").addEventListener("submit", save);
byId("item-close").addEventListener("click", () => {
  close();
  byId("catalogue-head").focus();
});
