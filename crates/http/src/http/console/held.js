/** What is held of those whom the erasure desk names. */

import { ask } from "./api.js";
import { download, make, table } from "./dom.js";
import { count } from "./words.js";

/** People whose data are looked at together, and rows that are shown of a long table. */
const LOOKED_AT_MAX = 100;
const ROWS_MAX = 200;

/** What is held of these, as elements. */
export async function held(entries) {
  if (entries.every(({ names }) => names.items !== undefined)) {
    return Promise.all(entries.slice(0, LOOKED_AT_MAX).map(describeItem));
  }
  const users = [...new Set(entries.map(userOf))];
  const found = [];
  for (const user of users.slice(0, LOOKED_AT_MAX)) {
    found.push(await ask("export", exportOf(user)));
  }
  return [
    users.length > LOOKED_AT_MAX && make("p", {}, `The first ${LOOKED_AT_MAX} of ${users.length}:`),
    found.map((one) => heldOf(one, found.length === 1)),
  ];
}

function userOf({ names }) {
  return names.users?.[0] ?? names.interactions[0].user;
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
  const { user, properties, interactions, restricted = false } = held;
  const said = Object.entries(properties);
  const rows = interactions
    .slice(0, ROWS_MAX)
    .map((row) => [row.title ?? row.item, row.type, row.weight, when(row.timestamp)]);
  const caption =
    rows.length < interactions.length
      ? `The first ${rows.length} of ${interactions.length} interactions`
      : count(rows.length, "interaction");
  const amounts = `${count(interactions.length, "interaction")}, ${count(said.length, "property", "properties")}`;
  return make(
    "details",
    { open: isOpen },
    make("summary", {}, `${user}: ${amounts}${restricted ? ", restricted" : ""}`),
    make(
      "p",
      { class: restricted ? "warning" : false },
      restricted
        ? "Processing is restricted: this is kept, and nothing is learnt or recommended from it."
        : "Processing is not restricted.",
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
