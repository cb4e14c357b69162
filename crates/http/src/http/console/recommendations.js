/** The page of what is recommended to somebody, with the reasons and what is proven of it. */

import { ask, events } from "./api.js";
import { byId, fill, make, say } from "./dom.js";
import * as problem from "./problem.js";
import { count, figure } from "./words.js";

const SOURCES = {
  model: "from the model's own factors of this person",
  fold_in: "from a history, without factors of its own in the model",
  popular: "by popularity: the model knows nothing of this person",
};

export const recommendations = {
  open() {},
  close() {},
};

async function recommend(event) {
  event.preventDefault();
  const body = {
    user: byId("recommend-user").value,
    k: Number(byId("recommend-k").value),
    as_of: byId("recommend-as-of").value,
    explain: true,
  };
  try {
    const answer = await ask("recommend", { method: "POST", body, needs: "read" });
    problem.clear(byId("recommend-problem"));
    show(answer);
  } catch (error) {
    clear();
    problem.show(byId("recommend-problem"), error);
  }
}

function clear() {
  problem.clear(byId("recommend-problem"));
  say(byId("recommend-state"), "");
  fill(byId("recommend-result"));
}

function show({ items, source, model_version: version, explanation }) {
  say(
    byId("recommend-state"),
    `${count(items.length, "item")} by version ${version}, ${SOURCES[source] ?? source}.`,
  );
  fill(
    byId("recommend-result"),
    make("ol", { class: "list" }, items.map(entry)),
    make("h3", {}, "What is proven of this list"),
    proofs(items, explanation).map((line) => make("p", {}, line)),
  );
}

function entry(item) {
  return make(
    "li",
    {},
    make("strong", {}, item.title ?? item.item),
    " ",
    make("code", {}, item.item),
    ` scores ${figure(item.score)}`,
    item.source === "content" && ", by what is said about it alone",
    item.because?.length > 0 && reasons(item),
  );
}

function reasons({ because, others, score }) {
  const shares = because.map(({ item, title, share }) =>
    make("li", {}, `${title ?? item}: ${figure(share)} (${percent(share, score)})`),
  );
  const rest = make("li", {}, `everything else of the history: ${figure(others)}`);
  return make("details", {}, make("summary", {}, "Because of"), make("ul", {}, shares, rest));
}

function percent(share, score) {
  return score === 0 ? "–" : `${Math.round((100 * share) / score)} % of the score`;
}

function proofs(items, explanation) {
  if (explanation === undefined) {
    return ["Nothing is said of it."];
  }
  const lines = [];
  const k = items.length;
  if (explanation.top_k_proven) {
    lines.push(
      `Proven: a model retrained on the data that are kept gives the same ${count(k, "item")}.`,
    );
  } else {
    lines.push(`Not proven as a whole: ${explanation.reason}.`);
  }
  lines.push(
    `The first ${explanation.leading_set_proven} are proven to be the retrained model's, in some order; the ` +
      `first ${explanation.leading_positions_proven} in this order.`,
  );
  if (explanation.score_bound !== null) {
    lines.push(
      `No score of this person is farther than ${figure(explanation.score_bound)} from its retrained value.`,
    );
  }
  if (explanation.margin !== null && explanation.margin_needed !== null) {
    lines.push(
      `The last of the list is ${figure(explanation.margin)} above the best that is not in it; more than ` +
        `${figure(explanation.margin_needed)} would prove the set.`,
    );
  }
  lines.push(
    explanation.certificate_version === null
      ? "There is no certificate yet."
      : `The last certificate is of version ${explanation.certificate_version}.`,
  );
  return lines;
}

byId("recommend-form").addEventListener("submit", recommend);
// Another key may not see what this one could.
events.addEventListener("key", clear);
