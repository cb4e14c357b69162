/** Checks that a receipt is in the log of receipts: C2SP tlog-proof, over a tree as in RFC 9162. */

import { BadReceipt, needCrypto, publicKey } from "./receipt.js";

const FORMAT = "c2sp.org/tlog-proof@v1";

/** The kind of a key in a signed note: Ed25519. */
const KIND = 1;

const encoder = new TextEncoder();

/**
 * Checks that `proof` shows the receipt `text`, whose number is `sequence`, to be in the log whose head is
 * signed with a key of `jwks`; gives the log's name and how many receipts it has.
 */
export async function provesInclusion(proof, text, sequence, jwks) {
  needCrypto();
  const { index, path, note } = read(proof);
  if (index !== sequence - 1) {
    throw new BadReceipt("The proof of inclusion is about another receipt.");
  }
  const head = await signedHead(note, jwks);
  const leaf = await sha256(Uint8Array.of(0), encoder.encode(text.trim()));
  const root = await rootOver(leaf, index, path, head.size);
  if (root === null || !isSame(root, head.root)) {
    throw new BadReceipt("The receipt is not in the log that its proof of inclusion is of.");
  }
  return { name: head.name, size: head.size };
}

function read(proof) {
  const end = proof.indexOf("\n\n");
  const [format, place, ...rest] = proof.slice(0, Math.max(end, 0)).split("\n");
  const index = /^index (\d{1,15})$/.exec(place ?? "")?.[1];
  if (format !== FORMAT || index === undefined) {
    throw new BadReceipt("The proof of inclusion cannot be read.");
  }
  return { index: Number(index), path: rest.map(hash), note: proof.slice(end + 2) };
}

/** The head that a note holds, once a signature of it holds. */
async function signedHead(note, jwks) {
  const end = note.indexOf("\n\n") + 1;
  const text = note.slice(0, end);
  const [name, size, root] = text.split("\n");
  if (end === 0 || !/^\d{1,15}$/.test(size ?? "") || root === undefined) {
    throw new BadReceipt("The head of the log cannot be read.");
  }
  for (const line of note.slice(end).split("\n")) {
    const [, signer, signature] = /^— (\S+) (\S+)$/.exec(line) ?? [];
    if (signer === name && (await isSigned(text, name, bytes(signature), jwks))) {
      return { name, size: Number(size), root: hash(root) };
    }
  }
  throw new BadReceipt("The head of the log is not signed by a key that this service publishes.");
}

async function isSigned(text, name, signature, jwks) {
  for (const key of jwks.keys ?? []) {
    if (key.kty === "OKP" && key.crv === "Ed25519") {
      const raw = bytes(key.x.replaceAll("-", "+").replaceAll("_", "/"));
      const id = await sha256(encoder.encode(`${name}\n`), Uint8Array.of(KIND), raw);
      const isOfKey = isSame(id.slice(0, 4), signature.slice(0, 4));
      const [verifier, signed] = [await publicKey(key), encoder.encode(text)];
      if (
        isOfKey &&
        (await crypto.subtle.verify("Ed25519", verifier, signature.slice(4), signed))
      ) {
        return true;
      }
    }
  }
  return false;
}

/** The root that follows from a leaf and its path (section 2.1.3.2); null when the path does not fit. */
async function rootOver(leaf, index, path, size) {
  if (index >= size) {
    return null;
  }
  let [at, last, node] = [index, size - 1, leaf];
  const half = (number) => Math.floor(number / 2);
  for (const other of path) {
    if (last === 0) {
      return null;
    }
    if (at % 2 === 1 || at === last) {
      node = await sha256(Uint8Array.of(1), other, node);
      while (at % 2 === 0 && at !== 0) {
        [at, last] = [half(at), half(last)];
      }
    } else {
      node = await sha256(Uint8Array.of(1), node, other);
    }
    [at, last] = [half(at), half(last)];
  }
  return last === 0 ? node : null;
}

async function sha256(...parts) {
  const whole = new Uint8Array(parts.flatMap((part) => [...part]));
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

function isSame(left, right) {
  return left.length === right.length && left.every((byte, place) => byte === right[place]);
}

function hash(text) {
  const found = bytes(text);
  if (found.length !== 32) {
    throw new BadReceipt("A hash of the proof of inclusion is none.");
  }
  return found;
}

function bytes(text) {
  try {
    return Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  } catch {
    throw new BadReceipt("A part of the proof of inclusion is not base64.");
  }
}
