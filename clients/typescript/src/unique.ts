/** Objects of JSON in which no name comes twice: that would mean one thing to one reader and another to the next. */

import type { JsonObject } from "./fields.js";

/** A text of JSON, and the colon after it when it is a name. Outside of these no quotation marks stand. */
const TEXTS = /"(?:[^"\\]|\\.)*"(\s*:)?/g;

/** The object that is written in `text`; an error of one where a name comes twice, or of no object. */
export function uniqueObject(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SyntaxError("no object");
  }
  // Of two of one name the reader of the language keeps the last and says nothing, so they are counted.
  const written = [...text.matchAll(TEXTS)].filter(([, colon]) => colon !== undefined).length;
  if (written !== namesIn(value)) {
    throw new SyntaxError("a name comes twice");
  }
  return value as JsonObject;
}

/** How many names there are in a value, at any depth. */
function namesIn(value: unknown): number {
  if (typeof value !== "object" || value === null) {
    return 0;
  }
  const values: unknown[] = Object.values(value);
  const own = Array.isArray(value) ? 0 : values.length;
  return values.reduce((sum: number, inner) => sum + namesIn(inner), own);
}
