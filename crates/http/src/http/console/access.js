/** The page that says what the key in use opens, and how keys are made. */

import { Refused, call, hasKey } from "./api.js";
import { byId, fill, make, say, table } from "./dom.js";
import * as problem from "./problem.js";

/**
 * The roles, what each opens, and a call that takes it. No call tells the roles of a key, so each is
 * tried with one that changes nothing: of no additions none are made.
 */
const ROLES = [
  {
    name: "read",
    opens: "Overview, Recommendations, Catalogue",
    path: "receipts/checkpoint",
  },
  {
    name: "write",
    opens: "changes of the catalogue; additions",
    path: "interactions",
    options: { method: "POST", body: { interactions: [] } },
  },
  {
    name: "erase",
    opens: "Erasures and Erasure desk, for what the same key requested",
    path: "erasures?limit=1",
  },
  {
    name: "admin",
    opens: "everything: what is held of somebody, Webhooks, and the erasures of all keys",
    path: "webhooks",
  },
];

let round = 0;

export const access = {
  async open() {
    round += 1;
    const mine = round;
    try {
      const found = await look();
      if (mine === round) {
        problem.clear(byId("access-problem"));
        show(found);
      }
    } catch (error) {
      if (mine === round) {
        forget();
        problem.show(byId("access-problem"), error);
      }
    }
  },
  close() {
    round += 1;
  },
};

/** What there is to say, and the roles of the key where there is one. */
async function look() {
  const [first] = ROLES;
  const withoutKey = await opens(first, { isAnonymous: true });
  if (withoutKey !== null) {
    return {
      text: "The server has no API keys: it serves whoever calls from this machine, with every role.",
    };
  }
  if (!hasKey()) {
    return { text: "The server takes an API key, and none is in use here." };
  }
  const known = await Promise.all(ROLES.map((role) => opens(role)));
  if (known.includes(null)) {
    return {
      text: "The server does not know the key that is used here, or does not take it any more.",
    };
  }
  const roles = ROLES.filter((_, index) => known[index]).map(({ name }) => name);
  return { text: statement(roles), roles };
}

function statement(roles) {
  if (roles.includes("admin")) {
    return "The key that is used here has the role admin, which opens everything.";
  }
  const noun = roles.length === 1 ? "role" : "roles";
  return `The key that is used here has the ${noun} ${roles.join(", ")}.`;
}

/** Whether the key has a role; null when there is no key, or none that the server takes. */
async function opens({ path, options }, more = {}) {
  try {
    await call(path, { ...options, ...more });
    return true;
  } catch (error) {
    if (!(error instanceof Refused) || error.passes || error.code === "origin_not_allowed") {
      throw error;
    }
    if (error.status === 401) {
      return null;
    }
    // What is refused for another reason was let in.
    return !error.isAboutKeys;
  }
}

function show({ text, roles }) {
  say(byId("access-state"), text);
  if (roles === undefined) {
    fill(byId("access-roles"));
    return;
  }
  const isAdmin = roles.includes("admin");
  const rows = ROLES.map(({ name, opens: what }) => [
    make("code", {}, name),
    what,
    isAdmin || roles.includes(name) ? "yes" : "no",
  ]);
  fill(byId("access-roles"), table("Roles", ["role", "opens", "this key"], rows));
}

/** Nothing stays of what was said of another key. */
function forget() {
  say(byId("access-state"), "");
  fill(byId("access-roles"));
}
