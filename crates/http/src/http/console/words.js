/** Figures, times and certificates in words. */

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** A time as it is where the browser is, with the second and the zone. */
export function moment(text) {
  if (text === null || text === undefined) {
    return "not yet";
  }
  const options = { dateStyle: "medium", timeStyle: "long" };
  return new Date(text).toLocaleString(undefined, options);
}

/** A span of time, in the largest unit that fits. */
export function span(seconds) {
  for (const [unit, length] of UNITS) {
    if (seconds >= length) {
      return count(Math.floor(seconds / length), unit);
    }
  }
  return seconds >= 10 || seconds === 0 ? `${Math.round(seconds)} s` : `${seconds.toFixed(1)} s`;
}

/** So many of something. */
export function count(number, noun, plural = `${noun}s`) {
  return `${number.toLocaleString()} ${number === 1 ? noun : plural}`;
}

/** A figure with two significant digits. */
export function figure(number) {
  if (number === 0 || (Math.abs(number) >= 0.001 && Math.abs(number) < 100_000)) {
    return String(Number(number.toPrecision(3)));
  }
  return number.toExponential(1);
}

/** Bytes, in the unit that fits. */
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (number >= 1024 && unit < units.length - 1) {
    number /= 1024;
    unit += 1;
  }
  return `${number.toFixed(number < 10 && unit > 0 ? 1 : 0)} ${units[unit]}`;
}

/** What a certificate says, as sentences. */
export function certificate(certificate) {
  if (certificate === null || certificate === undefined) {
    return "There is no certificate yet.";
  }
  if (certificate.kind === "residual") {
    return (
      `Measured, not proven: the gradient of the model on the retained data is ${figure(certificate.residual)} ` +
      `of its scale, and training works to ${figure(certificate.tolerance)}. ${sentence(certificate.note)}`
    );
  }
  const bound =
    `The scores of the model are within ${figure(certificate.root_mean_square)} (root mean square) of those ` +
    `of a model that never saw what was erased; the target is ${figure(certificate.target)}.`;
  const chance = `The bound fails with a probability of at most ${figure(certificate.failure_probability)}.`;
  if (certificate.holds) {
    return `The certificate holds. ${bound} ${chance}`;
  }
  return `The certificate does not hold. ${bound} ${sentence(certificate.approximate ?? "no reason is given")}`;
}

function sentence(text) {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}

/** Whether the numbers of a certificate reach its target, whatever it says of itself. */
export function reachesTarget(certificate) {
  if (certificate?.kind === "residual") {
    return certificate.residual <= certificate.tolerance;
  }
  return (
    certificate?.kind === "duality_gap" &&
    certificate.holds === true &&
    certificate.root_mean_square <= certificate.target
  );
}
