/** The page of the endpoints that are told of erasures. */

import { ask } from "./api.js";
import { byId, facts, fill, make, say } from "./dom.js";
import { poll } from "./poll.js";
import * as problem from "./problem.js";
import { count, moment } from "./words.js";

/** Milliseconds between two looks. */
const PAUSE = 5_000;

export const webhooks = poll(PAUSE, async (isWanted) => {
  try {
    const answer = await ask("webhooks", { needs: "admin" });
    if (isWanted()) {
      problem.clear(byId("webhooks-problem"));
      show(answer.webhooks);
    }
  } catch (error) {
    if (isWanted()) {
      problem.show(byId("webhooks-problem"), error);
      if (error.needs !== undefined) {
        forget();
      }
    }
  }
});

/** Nothing stays of what another key could see. */
function forget() {
  say(byId("webhooks-state"), "");
  fill(byId("webhooks-list"));
}

function show(all) {
  say(byId("webhooks-state"), summary(all));
  fill(byId("webhooks-list"), all.map(endpoint));
}

function summary(all) {
  if (all.length === 0) {
    return "No endpoint is configured, so nobody is told.";
  }
  const bad = all.filter((webhook) => !judge(webhook).isWell).length;
  const state = bad === 0 ? "all of them are well" : `${bad} of them not well`;
  return `${count(all.length, "endpoint")}, ${state}.`;
}

/** How an endpoint fares, as a sentence. */
function judge({ gone, waiting, delivered_at: delivered, last_failure: failure }) {
  if (gone) {
    return {
      isWell: false,
      text: "It answered 410, that it wants no more: it is sent nothing until the next start.",
    };
  }
  const fails = failure !== null && (delivered === null || delivered < failure.at);
  if (waiting > 0 && fails) {
    return { isWell: false, text: `It does not take what it is sent: ${failure.reason}.` };
  }
  return {
    isWell: true,
    text: waiting > 0 ? "It is being told." : "It has been told of everything.",
  };
}

function endpoint(webhook) {
  const { name, states, waiting, last_failure: failure } = webhook;
  const { isWell, text } = judge(webhook);
  const head = `webhook-${name}`;
  return make(
    "section",
    { "aria-labelledby": head },
    make("h3", { id: head }, name),
    make("p", { class: isWell ? "verdict" : "verdict bad" }, text),
    lost(webhook),
    facts([
      ["states that wait", waiting.toLocaleString()],
      [
        "the oldest was reached",
        webhook.oldest_at === null ? "nothing waits" : moment(webhook.oldest_at),
      ],
      ["last failure", failure === null ? "none" : `${moment(failure.at)}: ${failure.reason}`],
      [
        "last acknowledged",
        webhook.delivered_at === null ? "nothing yet" : moment(webhook.delivered_at),
      ],
      ["given up", webhook.given_up.toLocaleString()],
      ["dropped", webhook.dropped.toLocaleString()],
      ["is told", states.join(", ")],
      ["public key of its messages", make("code", {}, webhook.public_key)],
    ]),
  );
}

/** What an endpoint will not be told any more, if there is any. */
function lost({ given_up: given, dropped }) {
  return (
    given + dropped > 0 &&
    make(
      "p",
      { class: "warning" },
      `It was not told ${count(given + dropped, "state")}, and will not be. Whoever needs them finds them ` +
        "on the page of erasures.",
    )
  );
}
