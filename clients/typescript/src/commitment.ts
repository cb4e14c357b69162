/** The commitment to what was erased, as the service's documentation of receipts draws it. */

import { compareByBytes, fromBase64Url, toBase64Url, utf8, type Bytes } from "./bytes.js";
import { idText } from "./encode.js";
import type { Id, Names } from "./models.js";

export const COMMITMENT_METHOD = "recant-erasure-commitment-1+HMAC-SHA-256";
const DOMAIN = "recant erasure commitment 1";
const SALT_BYTES = 32;

/**
 * What the service leaves out around an id: white space as Unicode has it, and the byte order mark. `\s`
 * has all of it but one.
 */
const BLANKS_AROUND = /^[\s\u0085]+|[\s\u0085]+$/gu;

/** What was done with what is named. */
export type Act = "erasure" | "restriction";

/**
 * The commitment to the erasure of `names`, or to the restriction of its users, under the salt of the answer to
 * the request.
 */
export async function commitment(
  salt: string,
  names: Names,
  act: Act = "erasure",
): Promise<string> {
  const secret = fromBase64Url(salt);
  if (secret?.length !== SALT_BYTES) {
    throw new RangeError("this is no salt: take receiptSalt of the erasure");
  }
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
  const mac = await crypto.subtle.sign("HMAC", key, message(fieldsOf(names, act)));
  return toBase64Url(new Uint8Array(mac));
}

/** Each field after its length. */
function message(fields: readonly Bytes[]): Bytes {
  const parts = fields.flatMap((field) => [wholeNumber(field.length), field]);
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** What is named: ids without the blanks around them, and pairs sorted, each once. */
interface Named {
  readonly users: readonly string[];
  readonly items: readonly string[];
  readonly pairs: readonly (readonly string[])[];
  readonly typed: readonly (readonly string[])[];
}

function namedIn(names: Names): Named {
  const interactions = names.interactions ?? [];
  const sides = interactions.map(({ user, item, type }) => [
    bareId(user),
    bareId(item),
    ...(type === undefined ? [] : [type]),
  ]);
  return {
    users: (names.users ?? []).map(bareId),
    items: (names.items ?? []).map(bareId),
    pairs: sortedOnce(sides.filter((texts) => texts.length === 2)),
    typed: sortedOnce(sides.filter((texts) => texts.length === 3)),
  };
}

/** A request means the same however it is written, so the kind is that of what it names. */
function kindOf({ users, items, pairs, typed }: Named): string {
  const isOneId = pairs.length + typed.length === 0 && users.length + items.length === 1;
  if (isOneId) {
    return users.length === 1 ? "user" : "item";
  }
  if (users.length + items.length > 0 || (pairs.length > 0 && typed.length > 0)) {
    return typed.length > 0 ? "several_typed" : "several";
  }
  return typed.length > 0 ? "typed_pairs" : "pairs";
}

function fieldsOf(names: Names, act: Act): readonly Bytes[] {
  const named = namedIn(names);
  if (act === "restriction") {
    if (named.items.length + named.pairs.length + named.typed.length > 0) {
      throw new RangeError("users alone are restricted");
    }
    return [utf8(DOMAIN), utf8(act), ...list(named.users)];
  }
  const kind = kindOf(named);
  const head = [utf8(DOMAIN), utf8(kind)];
  const pairs = [...named.pairs, ...named.typed].flat().map(utf8);
  if (kind === "user" || kind === "item") {
    return [...head, ...[...named.users, ...named.items].map(utf8)];
  }
  if (kind === "pairs" || kind === "typed_pairs") {
    return [...head, ...pairs];
  }
  const counted = kind === "several_typed" ? [wholeNumber(named.pairs.length)] : [];
  return [...head, ...list(named.users), ...list(named.items), ...counted, ...pairs];
}

/** Some ids after their number. */
function list(ids: readonly string[]): readonly Bytes[] {
  const once = sortedOnce(ids.map((id) => [id])).flat();
  return [wholeNumber(once.length), ...once.map(utf8)];
}

/** Big endian, in 32 bits. */
function wholeNumber(value: number): Bytes {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

function bareId(id: Id): string {
  return idText(id).replace(BLANKS_AROUND, "");
}

function sortedOnce(rows: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const different = new Map(rows.map((row) => [JSON.stringify(row), row]));
  return [...different.values()].sort(compareRows);
}

/** By the first text, then by the second, and so on; all have as many. */
function compareRows(left: readonly string[], right: readonly string[]): number {
  const order = left.map((text, at) => compareByBytes(text, right[at] ?? ""));
  return order.find((one) => one !== 0) ?? 0;
}
