/**
 * Reads whom or what to erase, a line each, as it was written or comes from a file. No line is dropped in
 * silence: each names somebody, repeats another, is empty, is the heading, or is bad.
 */

/** Bytes that an id may have. */
const ID_BYTES_MAX = 256;

/** What the columns of a heading may be called. */
const COLUMNS = { user: "user", user_id: "user", item: "item", item_id: "item" };

/** A field of a line of comma-separated values, in quotation marks or not, and what ends it. */
const FIELD = /\s*(?:"((?:[^"]|"")*)"\s*|([^",]*))(,|$)/y;

/** What a line of each kind names. */
const KINDS = {
  users: { columns: ["user"], label: ({ user }) => `person ${user}` },
  items: { columns: ["item"], label: ({ item }) => `item ${item}` },
  pairs: {
    columns: ["user", "item"],
    label: ({ user, item, type }) =>
      `${user} with ${item}${type === undefined ? "" : `, ${type} alone`}`,
  },
};

/** Why a line is bad. */
export class BadLine extends Error {
  title = "This names nothing";
}

/**
 * Reads a text of `kind`: `users`, `items` or `pairs`. Gives `entries`, `{line, label, names}` with names as in
 * a request; `bad`, `{line, why}`; and of the other lines the numbers: `repeated`, `empty`, `headings`.
 */
export function read(text, kind) {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") {
    lines.pop();
  }
  const found = { entries: [], bad: [], repeated: [], empty: [], headings: [] };
  const known = new Set();
  let parse;
  for (const [index, written] of lines.entries()) {
    const line = index + 1;
    const content = written.trim();
    if (content === "") {
      found.empty.push(line);
      continue;
    }
    if (parse === undefined) {
      const heading = content.startsWith("{") ? undefined : headingOf(content, kind);
      const isHeading = heading !== undefined && lines.length > 1;
      parse = parserOf(content, kind, isHeading ? heading : KINDS[kind].columns);
      if (isHeading) {
        found.headings.push(line);
        continue;
      }
    }
    try {
      const row = parse(content);
      const key = JSON.stringify([row.user, row.item, row.type]);
      if (known.has(key)) {
        found.repeated.push(line);
      } else {
        known.add(key);
        found.entries.push({ line, ...entry(kind, row) });
      }
    } catch (error) {
      if (!(error instanceof BadLine)) {
        throw error;
      }
      found.bad.push({ line, why: error.message });
    }
  }
  return found;
}

/** What names one row of `kind`, `{user}`, `{item}` or `{user, item}`; its ids are checked as those of lines. */
export function one(kind, row) {
  const fields = KINDS[kind].columns.map((column) => [column, id(row[column], column)]);
  return entry(kind, Object.fromEntries(fields));
}

function entry(kind, row) {
  const label = KINDS[kind].label(row);
  if (kind === "pairs") {
    return { label, names: { interactions: [row] } };
  }
  return { label, names: { [kind]: Object.values(row) } };
}

/** The columns that the first line names, in their order; undefined when it is no heading. */
function headingOf(line, kind) {
  let columns;
  try {
    columns = fieldsOf(line).map((field) => COLUMNS[field.trim().toLowerCase()]);
  } catch {
    return undefined;
  }
  const isWhole = KINDS[kind].columns.every((column) => columns.includes(column));
  return isWhole && columns.length === KINDS[kind].columns.length ? columns : undefined;
}

/** How the lines are read that begin with this one. */
function parserOf(first, kind, columns) {
  if (first.startsWith("{")) {
    return (line) => ofJson(line, kind);
  }
  return (line) => ofFields(line, columns);
}

function ofFields(line, columns) {
  // A single id is in quotation marks as a whole or not at all: commas in it separate nothing.
  const fields = columns.length === 1 && !line.startsWith('"') ? [line] : fieldsOf(line);
  if (fields.length !== columns.length) {
    const expected = columns.length === 1 ? "an id alone" : columns.join(" and ");
    throw new BadLine(`It has ${columnsIn(fields)} where ${expected} should be.`);
  }
  return Object.fromEntries(columns.map((column, index) => [column, id(fields[index], column)]));
}

function columnsIn({ length }) {
  return length === 1 ? "one column" : `${length} columns`;
}

/** The fields of a line of comma-separated values (RFC 4180). */
function fieldsOf(line) {
  const fields = [];
  FIELD.lastIndex = 0;
  for (;;) {
    const match = FIELD.exec(line);
    if (match === null) {
      throw new BadLine("A quotation mark is not closed, or stands where none may.");
    }
    const [, quoted, plain, end] = match;
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    if (end === "") {
      return fields;
    }
  }
}

function ofJson(line, kind) {
  let value;
  try {
    value = JSON.parse(line);
  } catch {
    throw new BadLine("It is not JSON, as the first line is.");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BadLine("It is not an object in JSON.");
  }
  const row = {};
  for (const [name, content] of Object.entries(value)) {
    const column = kind === "pairs" && name === "type" ? name : COLUMNS[name];
    if (column !== "type" && !KINDS[kind].columns.includes(column)) {
      throw new BadLine(`It has a field that says nothing here: ${JSON.stringify(name)}.`);
    }
    if (row[column] !== undefined) {
      throw new BadLine(`It has the ${column} twice.`);
    }
    row[column] = id(content, column);
  }
  const missing = KINDS[kind].columns.find((column) => row[column] === undefined);
  if (missing !== undefined) {
    throw new BadLine(`It has no ${missing}.`);
  }
  const { user, item, type } = row;
  return Object.fromEntries(
    Object.entries({ user, item, type }).filter(([, content]) => content !== undefined),
  );
}

/** The id that is written; the service holds to the same rule. */
function id(content, column) {
  if (typeof content === "number" && !Number.isSafeInteger(content)) {
    throw new BadLine(`The ${column} is a number that is not whole and exact; write it as a text.`);
  }
  if (typeof content !== "number" && typeof content !== "string") {
    throw new BadLine(`The ${column} is neither a text nor a whole number.`);
  }
  const text = String(content).trim();
  if (text === "") {
    throw new BadLine(`The ${column} is empty.`);
  }
  if (/\p{Cc}|\p{Cs}/u.test(text)) {
    throw new BadLine(`The ${column} has a control character.`);
  }
  const { length } = new TextEncoder().encode(text);
  if (length > ID_BYTES_MAX) {
    throw new BadLine(`The ${column} has ${length} bytes; an id has at most ${ID_BYTES_MAX}.`);
  }
  return text;
}
