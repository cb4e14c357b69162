/** Whether the server is there and well, said at the top of every page. */

import { Refused, Unreachable, ask, events } from "./api.js";
import { byId, say } from "./dom.js";

/** Milliseconds between two looks: while all is well, and while it is not. */
const CALM = 10_000;
const WORRIED = 2_000;

/** Tells who listens that the server was gone and is back: `back`. */
export const server = new EventTarget();

let goneSince = null;
let timer;

/** Begins to look, and goes on while the page is visible. */
export function begin() {
  events.addEventListener("silence", isGone);
  events.addEventListener("answer", isHere);
  document.addEventListener("visibilitychange", look);
  look();
}

async function look() {
  clearTimeout(timer);
  if (document.hidden) {
    return;
  }
  await ask("readyz").then(
    () => tell("good", "The server is ready"),
    (error) => tellError(error),
  );
  clearTimeout(timer);
  const isWell = byId("health").dataset.state === "good";
  timer = setTimeout(look, isWell ? CALM : WORRIED);
}

function tellError(error) {
  if (error instanceof Refused) {
    tell("bad", `Not ready: ${error.message}`);
  } else if (!(error instanceof Unreachable)) {
    throw error;
  }
}

function isGone() {
  if (goneSince === null) {
    goneSince = new Date();
    clearTimeout(timer);
    timer = setTimeout(look, WORRIED);
  }
  const since = goneSince.toLocaleTimeString();
  tell(
    "bad",
    `No answer from the server since ${since}. Trying again; what is shown is from before.`,
  );
}

function isHere() {
  if (goneSince !== null) {
    goneSince = null;
    look();
    server.dispatchEvent(new Event("back"));
  }
}

function tell(state, text) {
  const place = byId("health");
  place.dataset.state = state;
  say(place, text);
}
