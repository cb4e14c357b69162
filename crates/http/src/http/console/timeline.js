/** One erasure as it is shown: its states in time, and its certificate. */

import { make } from "./dom.js";
import { certificate, moment } from "./words.js";

/** The states in their order, and what each promises. */
const STATES = [
  ["accepted", "durable; what was named can no longer be read from the disk"],
  ["erased", "the records have left the store"],
  ["forgotten", "the model that answers was updated without the data"],
  ["certified", "how far the model is from one that never saw them is proven, and signed"],
];

/** Those of a restriction, which erases nothing. */
const STATES_OF_RESTRICTION = [
  ["accepted", "durable; what is held is kept, where nothing processes it"],
  ["restricted", "the records have left what is processed"],
  STATES[2],
  STATES[3],
];

/** Its states as a list, those that it reached with their time. */
export function timeline(erasure) {
  const states = erasure.kind === "restriction" ? STATES_OF_RESTRICTION : STATES;
  const steps = states.map(([state, promise]) => {
    const at = erasure[`${state}_at`];
    return make(
      "li",
      { class: at ? "reached" : false },
      make("strong", {}, state),
      make("span", {}, moment(at)),
      make("div", { class: "hint" }, promise),
    );
  });
  return make("ol", { class: "timeline", "aria-label": "States" }, steps);
}

/** Its versions and its certificate in words. */
export function statement(erasure) {
  const versions =
    erasure.model_version_before !== null &&
    `Version ${erasure.model_version_before} was live when the update began; version ` +
      `${erasure.model_version_after ?? "…"} was the first that had forgotten.`;
  const certified =
    erasure.certified_version !== null &&
    `The certificate is of version ${erasure.certified_version}, at position ` +
      `${erasure.certified_position ?? "?"} of the log; every later version descends from it.`;
  return [
    erasure.failure !== undefined && make("p", { class: "warning" }, `Not yet: ${erasure.failure}`),
    versions && make("p", {}, versions),
    certified && make("p", {}, certified),
    make("p", {}, certificate(erasure.certificate)),
  ];
}
