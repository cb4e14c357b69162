/** The console: which of its pages is shown, and with which key. */

import { access } from "./access.js";
import { events, hasKey, isKept, takeKey } from "./api.js";
import { catalogue } from "./catalogue.js";
import { desk } from "./desk.js";
import { byId, say } from "./dom.js";
import { erasures } from "./erasures.js";
import { overview } from "./overview.js";
import { recommendations } from "./recommendations.js";
import { begin, server } from "./watch.js";
import { webhooks } from "./webhooks.js";

/**
 * The pages by name. Each has `open`, called when it is shown and when what it shows may have
 * changed, and `close`. The name is all that the address ever holds.
 */
const PAGES = { overview, erasures, desk, recommendations, catalogue, webhooks, access };

let current = null;

function name() {
  const wanted = location.hash.slice(1);
  return Object.hasOwn(PAGES, wanted) ? wanted : "overview";
}

function turn() {
  const wanted = name();
  if (wanted === current) {
    return;
  }
  if (current !== null) {
    byId(`page-${current}`).hidden = true;
    PAGES[current].close();
  }
  const isFirst = current === null;
  current = wanted;
  byId(`page-${wanted}`).hidden = false;
  for (const link of byId("pages").children) {
    if (link.hash === `#${wanted}`) {
      link.setAttribute("aria-current", "page");
    } else {
      link.removeAttribute("aria-current");
    }
  }
  const head = byId(`${wanted}-head`);
  document.title = `${head.textContent} – recant`;
  if (!isFirst) {
    head.focus();
  }
  PAGES[wanted].open();
}

function refresh() {
  PAGES[current].open();
}

function showKey() {
  const kept = isKept() ? "kept in this tab" : "in memory";
  say(byId("key-state"), hasKey() ? `API key: in use, ${kept}` : "API key: none");
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  takeKey(byId("key").value, byId("key-keep").checked);
  byId("key").value = "";
  byId("key-details").open = false;
});
byId("key-forget").addEventListener("click", () => {
  byId("key").value = "";
  byId("key-keep").checked = false;
  takeKey("", false);
});
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId(`${current}-head`).focus();
});
window.addEventListener("hashchange", turn);
events.addEventListener("key", () => {
  showKey();
  refresh();
});
server.addEventListener("back", refresh);

showKey();
turn();
begin();
