/** The page of an operator: the certificate, what waits, and how it goes. */

import { ask, askText } from "./api.js";
import { byId, facts, fill, make } from "./dom.js";
import { lookAtNodes } from "./nodes.js";
import { plot } from "./plot.js";
import { poll } from "./poll.js";
import * as problem from "./problem.js";
import { buckets, parse, quantile, sum, value } from "./prometheus.js";
import { bytes, certificate, count, figure, moment, reachesTarget, span } from "./words.js";

const PAUSE = 5_000;

/** Half an hour of samples. */
const SAMPLES = 360;

/** What this page, probes and scrapers ask is no traffic. */
const OWN = new Set([
  "/",
  "/cluster",
  "/console/{file}",
  "/metrics",
  "/model",
  "/readyz",
  "/healthz",
  "/webhooks",
]);
const isTraffic = (labels) => !OWN.has(labels.route);

const samples = [];

export const overview = poll(PAUSE, async (isWanted) => {
  await Promise.all([look(isWanted), lookAtNodes(isWanted)]);
});

async function look(isWanted) {
  try {
    const [model, metrics] = await Promise.all([
      ask("model", { needs: "read" }),
      askText("metrics", { needs: "read" }),
    ]);
    if (isWanted()) {
      problem.clear(byId("overview-problem"));
      showModel(model);
      take(parse(metrics));
    }
  } catch (error) {
    if (isWanted()) {
      problem.show(byId("overview-problem"), error);
      if (error.needs !== undefined) {
        forget();
      }
    }
  }
}

/** Nothing stays of what another key could see. */
function forget() {
  samples.length = 0;
  for (const id of ["certificate", "gauges", "model"]) {
    fill(byId(id));
  }
  showPlots();
}

function showModel(model) {
  const hyper = Object.entries(model.hyper_parameters).map(([name, number]) => [name, number]);
  fill(byId("certificate"), certificateText(model));
  fill(
    byId("model"),
    facts([
      ["version", model.version],
      ["kind", model.kind],
      ["people with interactions", model.users.toLocaleString()],
      ["items with interactions", model.items.toLocaleString()],
      ["pairs", model.interactions.toLocaleString()],
      ["residual", model.residual === null ? "not measured" : figure(model.residual)],
      ...hyper,
    ]),
  );
}

function certificateText(model) {
  const { certificate: latest, certified } = model;
  const verdict = make(
    "p",
    { class: reachesTarget(latest) ? "verdict" : "verdict bad" },
    latest === null
      ? certificate(latest)
      : `Of version ${model.measured_version}: ${certificate(latest)}`,
  );
  if (certified === null) {
    return [verdict, make("p", {}, "No certificate has held yet.")];
  }
  const since =
    certified.events_since === 0
      ? "Nothing came since: it is of the data as they are now."
      : `${count(certified.events_since, "change")} came since; the next certificate will cover them.`;
  const live =
    certified.version === model.version ? "the live model" : `version ${model.version} is live`;
  return [
    verdict,
    make(
      "p",
      {},
      `The last certificate that held is of version ${certified.version} (${live}), at position ` +
        `${certified.position} of the log. It was given ${span(certified.age_seconds)} ago, at ` +
        `${moment(certified.at)}. ${since}`,
    ),
  ];
}

/** Keeps a sample, and shows it with those before. */
function take(metrics) {
  const now = performance.now() / 1000;
  const started = value(metrics, "process_start_time_seconds");
  const sample = {
    time: now,
    started,
    requests: sum(metrics, "recant_http_requests_total", isTraffic),
    waits: buckets(metrics, "recant_http_request_duration_seconds", isTraffic),
    bound: value(metrics, "recant_model_certificate_frobenius"),
    age: value(metrics, "recant_certificate_age_seconds"),
    queue: value(metrics, "recant_erasure_queue_depth"),
  };
  samples.push(sample);
  if (samples.length > SAMPLES) {
    samples.shift();
  }
  showGauges(metrics, started);
  showPlots();
}

function showGauges(metrics, started) {
  const of = (name) => value(metrics, name);
  const waits = (name) => (of(name) > 0 ? span(of(name)) : "nothing waits");
  const known = (text, number) => (number === undefined ? "not known" : text(number));
  fill(
    byId("gauges"),
    facts([
      ["worker", of("recant_worker_running") === 0 ? "stopped: restart the server" : "running"],
      ["erasures not yet forgotten", known(String, of("recant_erasure_queue_depth"))],
      ["oldest not yet forgotten", waits("recant_erasure_oldest_pending_seconds")],
      ["oldest without a certificate", waits("recant_erasure_oldest_uncertified_seconds")],
      ["certificates refused", known(String, of("recant_certificates_refused_total"))],
      ["additions told to come again", known(String, of("recant_additions_deferred_total"))],
      [
        "erasures since the last compaction",
        known(String, of("recant_compaction_pending_erasures")),
      ],
      ["memory", known(bytes, of("process_resident_memory_bytes"))],
      ["room on the disk", known(bytes, of("recant_store_free_bytes"))],
      ["running for", known((start) => span(Date.now() / 1000 - start), started)],
    ]),
  );
}

function showPlots() {
  const series = (read) => samples.map((sample) => [sample.time, read(sample)]);
  const between = (read) =>
    samples.slice(1).map((after, index) => {
      const before = samples[index];
      const isSame = before.started === after.started;
      return [after.time, isSame ? read(before, after) : undefined];
    });
  const rate = between(
    (before, after) => (after.requests - before.requests) / (after.time - before.time),
  );
  const slow = between((before, after) => quantile(0.95, before.waits, after.waits));
  const milliseconds = (seconds) => `${figure(seconds * 1000)} ms`;
  plot(byId("plot-traffic"), "Requests a second", rate, figure);
  plot(byId("plot-latency"), "95 of 100 answers within", slow, milliseconds);
  plot(
    byId("plot-bound"),
    "Certified bound (Frobenius)",
    series((sample) => sample.bound),
    figure,
  );
  plot(
    byId("plot-age"),
    "Age of the certificate",
    series((sample) => sample.age),
    span,
  );
  plot(
    byId("plot-queue"),
    "Erasures that wait",
    series((sample) => sample.queue),
    figure,
  );
}
