/** What the erasure desk was asked for: how far each has come, stopping, and what there is to take away. */

import {
  cases,
  changes,
  currentTrouble,
  goOn,
  hasStopped,
  hasUntaken,
  isUnsent,
  publishedKeys,
  stop,
  takeBack,
  taken,
} from "./cases.js";
import { word } from "./check.js";
import { byId, download, fill, make, say, table } from "./dom.js";
import * as problem from "./problem.js";
import { files, report } from "./report.js";
import { count, moment } from "./words.js";
import { zip } from "./zip.js";

/** Rows that are shown of a long table. */
const ROWS_MAX = 200;

const NOUNS = { erasure: "erasure", restriction: "restriction" };

/** Shows all of them. */
export function show() {
  byId("cases").hidden = cases.length === 0;
  const trouble = currentTrouble();
  if (trouble === null) {
    problem.clear(byId("cases-problem"));
  } else {
    problem.show(byId("cases-problem"), trouble);
  }
  say(byId("cases-state"), summary());
  showProgress();
  showList();
  const hasSome = cases.some((one) => one.id !== undefined);
  byId("archive").disabled = !hasSome;
  byId("report").disabled = !hasSome;
  byId("salts-warning").hidden = !hasUntaken();
}

/** Each is answered, and then, where there is something to follow, certified. */
function showProgress() {
  const answered = cases.filter((one) => one.state !== "waiting").length;
  const done = cases.filter((one) => one.result !== undefined || isSettled(one)).length;
  const bar = byId("cases-progress");
  bar.max = Math.max(1, 2 * cases.length);
  bar.value = answered + done;
  const waits = answered < cases.length;
  const isIdle = hasStopped();
  say(byId("cases-stop"), isIdle ? "Go on sending" : "Stop sending");
  byId("cases-sending").hidden = !waits;
  byId("cases-back").hidden = !isIdle || !cases.some(isUnsent);
}

function isSettled({ state }) {
  return state === "refused" || state === "lifted";
}

function showList() {
  const rows = cases
    .slice(0, ROWS_MAX)
    .map((one) => [
      one.label,
      stateOf(one),
      make("code", {}, one.id ?? ""),
      receiptOf(one),
      make("code", {}, one.salt ?? ""),
    ]);
  const heads = ["what", "state", "id", "receipt", "salt"];
  const caption =
    cases.length > ROWS_MAX
      ? `The first ${ROWS_MAX} of ${cases.length}`
      : count(cases.length, noun(cases));
  fill(byId("cases-list"), table(caption, heads, rows));
}

function stateOf({ state, problem: why, liftedAt }) {
  if (state === "refused") {
    return `refused: ${why}`;
  }
  return state === "lifted" ? `lifted ${moment(liftedAt)}` : state;
}

function receiptOf({ result }) {
  return result === undefined ? "" : make("span", { title: result.lines.join(" ") }, word(result));
}

/** What all of these are called. */
function noun(those) {
  const [first] = those;
  const isAlike = those.every(({ act }) => act === first?.act);
  return (isAlike && NOUNS[first?.act]) || "request";
}

function summary() {
  const followed = cases.filter((one) => one.act !== "lifting");
  const number = (state) => cases.filter((one) => one.state === state).length;
  const parts = [];
  if (followed.length > 0) {
    parts.push(`${number("certified")} of ${count(followed.length, noun(followed))} certified`);
  }
  if (number("lifted") > 0) {
    parts.push(`${count(number("lifted"), "restriction")} lifted`);
  }
  if (number("waiting") > 0) {
    parts.push(`${number("waiting")} not sent yet${hasStopped() ? ", stopped" : ""}`);
  }
  if (number("refused") > 0) {
    parts.push(`${number("refused")} refused`);
  }
  return `${parts.join(", ")}.`;
}

function options() {
  return { isNamed: byId("desk-named").checked, service: location.host, keys: publishedKeys() };
}

byId("cases-stop").addEventListener("click", () => {
  if (hasStopped()) {
    goOn();
  } else {
    stop();
  }
});
byId("cases-back").addEventListener("click", () => {
  takeBack();
  byId(cases.length > 0 ? "cases-head" : "desk-head").focus();
});
byId("archive").addEventListener("click", () => {
  download("erasures.zip", zip(files(cases, options())), "application/zip");
  taken();
  show();
});
byId("report").addEventListener("click", () =>
  download("erasures.html", report(cases, options()), "text/html"),
);
changes.addEventListener("change", show);
window.addEventListener("beforeunload", (event) => {
  if (hasUntaken()) {
    event.preventDefault();
  }
});
