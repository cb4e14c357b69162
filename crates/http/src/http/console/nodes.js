/** The part of the overview about several nodes. A server that is the only one has none. */

import { ask } from "./api.js";
import { byId, fill, make, table } from "./dom.js";
import { count, span } from "./words.js";

const WHY = {
  starting: "it opens its data",
  catching_up: "it has not applied the whole log",
  not_current: "it has not heard of the leader for too long",
  log_unreachable: "the log cannot be reached",
  log_went_back: "the log ends before what it has applied, or is another one",
  log_not_synced: "the servers of the log do not say that what they acknowledge is on their disks",
  cannot_apply: "an entry of the log cannot be applied",
};

const STATE = {
  current: "current",
  out: "out: it answers nobody",
  owing: "owing: it has still to erase what was acknowledged",
};

/** Looks how the nodes stand. What goes wrong with that the page says by itself. */
export async function lookAtNodes(isWanted) {
  const cluster = await ask("cluster", { needs: "read" }).catch(() => null);
  if (!isWanted()) {
    return;
  }
  if (cluster === null || cluster.role === "single") {
    forgetNodes();
  } else {
    show(cluster);
  }
}

/** Nothing stays of what another key could see. */
function forgetNodes() {
  byId("nodes").hidden = true;
  fill(byId("nodes-state"));
  fill(byId("nodes-list"));
}

function show(cluster) {
  fill(byId("nodes-state"), verdict(cluster));
  const heads = ["node", "does", "state", "entries applied", "version", "lease"];
  fill(byId("nodes-list"), table("Nodes", heads, cluster.nodes.map(row)));
  byId("nodes").hidden = false;
}

function verdict({ role, node, term, entries_behind: behind, why }) {
  const stands = `This is ${node}, ${role} in term ${term}, ${count(behind, "entry", "entries")} behind the log.`;
  if (why === null) {
    return make("p", { class: "verdict" }, stands);
  }
  return make("p", { class: "verdict bad" }, `${stands} It takes no requests: ${WHY[why] ?? why}.`);
}

function row(known) {
  const lease = known.lease_remaining_seconds;
  const isOf = known.version_term === null ? "" : ` of term ${known.version_term}`;
  return [
    known.node,
    known.role,
    STATE[known.state] ?? known.state,
    known.applied.toLocaleString(),
    known.version === null ? "not known" : `${known.version}${isOf}`,
    lease === null ? "none known" : span(lease),
  ];
}
