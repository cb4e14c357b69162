/** What a person takes away from the erasure desk: a report to read and print, and an archive. */

import { word } from "./check.js";
import { make } from "./dom.js";
import { statement, timeline } from "./timeline.js";
import { count, moment } from "./words.js";

const STYLE = `
body { font: 11pt/1.45 Georgia, serif; max-width: 42rem; margin: 2rem auto; padding: 0 1rem; color: #111; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; overflow-wrap: anywhere }
section { border-top: 2px solid #111; padding-top: .5rem; margin-top: 2rem }
dt { font-weight: bold; margin-top: .5rem } dd { margin: 0; overflow-wrap: anywhere }
ol { list-style: none; padding: 0 } li { margin: .4rem 0 } li strong { display: inline-block; min-width: 6rem }
code { font: 8.5pt/1.35 monospace; overflow-wrap: anywhere }
.hint { color: #444; font-size: .9em }
@media print { body { margin: 0; max-width: none } section { break-before: page; border: none; margin: 0 } }
`;

/** The report of these cases, a page of HTML that needs nothing else. */
export function report(cases, { isNamed, service }) {
  const body = make(
    "body",
    {},
    make("h1", {}, "Erasures"),
    make(
      "p",
      {},
      `${count(cases.length, "request")} at ${service}. Made ${moment(new Date())}. Each has a page of its own.`,
    ),
    make(
      "p",
      {},
      "A receipt is an attestation: it proves that the holder of the signing key said that the erasure reached " +
        "these states at these times, with this certificate. The salt opens its commitment to what was erased. " +
        "That of a restriction says that data are kept and not processed; it is no evidence of an erasure.",
    ),
    cases.map((one) => page(one, isNamed)),
  );
  return (
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">' +
    `<title>Erasures</title><style>${STYLE}</style></head>\n${body.outerHTML}\n</html>\n`
  );
}

const HEADS = { erasure: "Erasure", restriction: "Restriction" };

function page(one, isNamed) {
  const who = ["What was named", isNamed ? one.label : "not named here"];
  if (one.act === "lifting") {
    return make(
      "section",
      {},
      make("h2", {}, "End of a restriction"),
      make("p", {}, one.problem ?? `Accepted ${moment(one.liftedAt)}. It has no receipt.`),
      make("dl", {}, ...who.map((text, index) => make(index === 0 ? "dt" : "dd", {}, text))),
    );
  }
  const details = [
    who,
    [
      "Receipt",
      one.result === undefined
        ? "not there yet"
        : [word(one.result), " ", one.result.lines.join(" ")],
    ],
    ["Salt", make("code", {}, one.salt ?? "none: the service has replaced its key meanwhile")],
    one.receipt && ["The receipt itself", make("code", {}, one.receipt)],
  ];
  const rows = details
    .filter(Boolean)
    .map(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]);
  return make(
    "section",
    {},
    make("h2", {}, one.id === undefined ? "Not accepted" : `${HEADS[one.act]} ${one.id}`),
    one.problem && make("p", {}, one.problem),
    one.erasure && [timeline(one.erasure), statement(one.erasure)],
    make("dl", {}, rows.flat()),
  );
}

/** The files of an archive, as pairs of a name and a text. */
export function files(cases, { isNamed, service, keys }) {
  const accepted = cases.filter((one) => one.id !== undefined);
  const all = [
    ["README.txt", readme(accepted, service, isNamed)],
    ["report.html", report(cases, { isNamed, service })],
    ["salts.tsv", salts(accepted)],
  ];
  if (keys !== null) {
    all.push(["jwks.json", keys]);
  }
  for (const one of accepted) {
    if (one.receipt !== undefined) {
      all.push([`receipts/${one.id}.jws`, one.receipt]);
    }
    if (one.inclusion !== undefined) {
      all.push([`receipts/${one.id}.tlog-proof`, one.inclusion]);
    }
    if (isNamed) {
      all.push([`names/${one.id}.json`, `${JSON.stringify(one.names)}\n`]);
    }
  }
  return all;
}

function salts(accepted) {
  const lines = accepted.map((one) => `${one.id}\t${one.salt ?? ""}\n`);
  return `erasure\tsalt\n${lines.join("")}`;
}

function readme(accepted, service, isNamed) {
  const restrictions = accepted.filter(({ act }) => act === "restriction");
  const personal = isNamed
    ? "This archive names those who were erased: keep it as you keep personal data."
    : "This archive names nobody; the salts open the receipts to whoever knows the names.";
  return `Receipts at ${service}.
${personal}

report.html   to read and to print, a page for each request
receipts/     a receipt for each, and the proof that it is in the log of receipts
jwks.json     the public keys, as the service published them
salts.tsv     what opens the commitment of each receipt
names/        what each request named, if names were put in

Check them without the service:

recant verify receipts/*.jws --jwks jwks.json
recant verify receipts/ID.jws --jwks jwks.json --salt SALT --pairs names/ID.json
${restrictions.length > 0 ? ofRestrictions(restrictions) : ""}`;
}

function ofRestrictions(restrictions) {
  return `
These are of restrictions, not of erasures. Add --restriction to the second line for them:

${restrictions.map(({ id }) => `${id}\n`).join("")}`;
}
