/** Reads the text format of Prometheus, and makes rates and quantiles of it. */

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** The samples of a text, by name: lists of `{labels, value}`. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const match = line.startsWith("#") ? null : LINE.exec(line);
    if (match === null) {
      continue;
    }
    const [, name, labels = "", value] = match;
    const sample = { labels: readLabels(labels), value: readNumber(value) };
    const known = samples.get(name);
    if (known === undefined) {
      samples.set(name, [sample]);
    } else {
      known.push(sample);
    }
  }
  return samples;
}

function readLabels(text) {
  const pairs = Array.from(text.matchAll(LABEL), ([, name, value]) => [
    name,
    value.replace(/\\(.)/g, (_, sign) => (sign === "n" ? "\n" : sign)),
  ]);
  return Object.fromEntries(pairs);
}

function readNumber(text) {
  const infinite = { "+Inf": Infinity, "-Inf": -Infinity };
  return infinite[text] ?? Number(text);
}

/** The value of a metric that has one; undefined when it is not there. */
export function value(samples, name) {
  return samples.get(name)?.[0]?.value;
}

/** The sum over the samples whose labels pass. */
export function sum(samples, name, passes = () => true) {
  const values = (samples.get(name) ?? []).filter((sample) => passes(sample.labels));
  return values.reduce((total, sample) => total + sample.value, 0);
}

/** The buckets of a histogram over all labels that pass: counts by upper bound, ascending. */
export function buckets(samples, name, passes = () => true) {
  const counts = new Map();
  for (const sample of samples.get(`${name}_bucket`) ?? []) {
    if (passes(sample.labels)) {
      const bound = readNumber(sample.labels.le);
      counts.set(bound, (counts.get(bound) ?? 0) + sample.value);
    }
  }
  return new Map([...counts].sort(([left], [right]) => left - right));
}

/**
 * The quantile of what came between two readings of a histogram, linear within its bucket; undefined
 * when nothing came, or when the server began anew in between.
 */
export function quantile(share, before, after) {
  const rises = [...after].map(([bound, count]) => [bound, count - (before.get(bound) ?? 0)]);
  const total = rises.at(-1)?.[1] ?? 0;
  if (total <= 0) {
    return undefined;
  }
  const rank = share * total;
  let lower = 0;
  let below = 0;
  for (const [bound, rise] of rises) {
    if (rise >= rank) {
      return bound === Infinity
        ? lower
        : lower + ((bound - lower) * (rank - below)) / (rise - below);
    }
    lower = bound;
    below = rise;
  }
  return lower;
}
