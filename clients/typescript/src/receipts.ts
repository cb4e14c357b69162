/**
 * Receipts, checked without the service that signed them.
 *
 * A receipt is a compact JWS (RFC 7515, RFC 8037). The signature and the hashes are checked by the Web
 * Cryptography of the platform; what is left is written here as the service's documentation of receipts
 * draws it.
 */

import { certificate } from "./answers.js";
import { fromBase64Url, sha256, utf8, type Bytes } from "./bytes.js";
import { commitment, COMMITMENT_METHOD, type Act } from "./commitment.js";
import { ReceiptError, RecantError } from "./errors.js";
import { Fields, type JsonObject } from "./fields.js";
import type { ChainLink } from "./link.js";
import type { Certificate, Names } from "./models.js";
import { uniqueObject } from "./unique.js";

/** A JSON Web Key Set. */
export interface KeySet {
  readonly keys: readonly unknown[];
}

/** A receipt whose signature holds. It attests what the signer says; that is not a proof. */
export interface Receipt extends ChainLink {
  readonly erasureId: string;
  /**
   * What was named: `pairs`, `typed_pairs`, `user`, `item`, `several` or `several_typed`; or `restriction`, of
   * users whose data are kept and processed no more.
   */
  readonly kind: string;
  /** The salted commitment to what was named; `null` of an erasure from before there were any. */
  readonly commitment: string | null;
  readonly acceptedAt: Date;
  /** When the data left the store; `null` of a restriction. */
  readonly erasedAt: Date | null;
  /** When the data left what is processed; `null` of an erasure. */
  readonly restrictedAt: Date | null;
  readonly forgottenAt: Date;
  readonly certifiedAt: Date;
  readonly modelVersionBefore: number;
  readonly modelVersionAfter: number;
  /** The version that the certificate is about. */
  readonly modelVersionCertified: number;
  readonly certificate: Certificate;
  /**
   * How the erasure stands on each node of a cluster, by name: `destroyed`, `restricted` or `owing`; `null` of a
   * service on one machine.
   */
  readonly nodes: ReadonlyMap<string, string> | null;
  /** The entry of the cluster's log that brought it; `null` on one machine. */
  readonly entry: LogEntry | null;
}

/** One entry of a cluster's log. */
export interface LogEntry {
  /** Which life of the log. */
  readonly incarnation: string;
  readonly number: number;
}

/** The only algorithm (RFC 8037): Ed25519 is the only curve of a key that is taken. */
const ALGORITHM = "EdDSA";
const TYPE = "recant-receipt+jwt";
export const SETTLEMENT_TYPE = "recant-settlement+jwt";
/** Real ones have some 1 500. */
const LENGTH_MAX = 64 * 1024;

/**
 * Checks that a receipt is signed by one of the keys, which are a JSON Web Key Set as
 * `/.well-known/jwks.json` shows it; throws `ReceiptError` when it does not hold.
 *
 * Whether its certificate reaches the target, and what it is about, are questions of their own:
 * `Receipt.certificate`, `isAbout`.
 */
export async function verifyReceipt(compact: string, jwks: KeySet): Promise<Receipt> {
  const { text, hash, keyId, payload } = await opened(compact, jwks, TYPE);
  return receiptOf(text, hash, keyId, payload);
}

/** A text whose signature holds. */
export interface Opened {
  readonly text: string;
  readonly hash: string;
  readonly keyId: string;
  readonly payload: Bytes;
}

/** Checks the signature of a receipt or a settlement, whatever it claims. */
export async function opened(compact: string, jwks: KeySet, type: string): Promise<Opened> {
  if (compact.length > LENGTH_MAX) {
    throw new ReceiptError("it is too long to be a receipt");
  }
  const text = compact.trim();
  const { head, payload, signature } = partsOf(text);
  const keyId = keyIdOf(head, type);
  const key = await importedKey(jwks, keyId);
  const signed = utf8(text.slice(0, text.lastIndexOf(".")));
  if (!(await crypto.subtle.verify("Ed25519", key, signature, signed))) {
    throw new ReceiptError(
      "the signature does not hold: the receipt was changed, or never signed by this key",
    );
  }
  return { text, hash: await sha256(text), keyId, payload };
}

/**
 * Whether the salt from the answer to the request opens the commitment to the erasure of `names`, or to the
 * restriction of its users.
 */
export async function isAbout(
  receipt: Receipt,
  salt: string,
  names: Names,
  act: Act = "erasure",
): Promise<boolean> {
  return receipt.commitment === (await commitment(salt, names, act));
}

interface Parts {
  readonly head: Bytes;
  readonly payload: Bytes;
  readonly signature: Bytes;
}

/** Refuses a text that has a second form: the chain hashes the text. */
function partsOf(text: string): Parts {
  const [head, payload, signature, ...more] = text.split(".").map(fromBase64Url);
  if (!head?.length || !payload?.length || !signature?.length || more.length > 0) {
    throw new ReceiptError("it is no compact JWS: three parts of base64url with dots between them");
  }
  return { head, payload, signature };
}

function keyIdOf(head: Bytes, type: string): string {
  const { alg, typ, kid, ...more } = objectOf(head, "header");
  if (alg !== ALGORITHM || typ !== type || "crit" in more) {
    throw new ReceiptError("its header is not that of a receipt");
  }
  if (typeof kid !== "string") {
    throw new ReceiptError("its header names no key");
  }
  return kid;
}

/** The key with this thumbprint (RFC 7638), which is computed, whatever the set claims. */
async function importedKey(jwks: KeySet, keyId: string): Promise<CryptoKey> {
  for (const x of Array.isArray(jwks.keys) ? jwks.keys.map(publicPart) : []) {
    const isMeant = x !== null && (await sha256(thumbprintText(x))) === keyId;
    if (isMeant) {
      return await imported(x);
    }
  }
  throw new ReceiptError("it is signed with a key that is not among those given");
}

/** `x` of a public key of Ed25519; `null` of whatever else is in a set. */
function publicPart(key: unknown): string | null {
  const { kty, crv, x } = (key ?? {}) as Partial<Record<string, unknown>>;
  return kty === "OKP" && crv === "Ed25519" && typeof x === "string" ? x : null;
}

function thumbprintText(x: string): string {
  return JSON.stringify({ crv: "Ed25519", kty: "OKP", x });
}

async function imported(x: string): Promise<CryptoKey> {
  const jwk = { kty: "OKP", crv: "Ed25519", x };
  try {
    return await crypto.subtle.importKey("jwk", jwk, { name: "Ed25519" }, false, ["verify"]);
  } catch (error) {
    throw new ReceiptError("the key that it is signed with is none", { cause: error });
  }
}

function receiptOf(compact: string, hash: string, keyId: string, payload: Bytes): Receipt {
  const claims = objectOf(payload, "claims");
  let receipt: Receipt;
  try {
    receipt = { ...claimsOf(new Fields(claims)), hash, keyId, compact, claims };
  } catch (error) {
    if (error instanceof RecantError && !(error instanceof ReceiptError)) {
      throw new ReceiptError("its claims are not those of a receipt");
    }
    throw error;
  }
  checkPlace(receipt);
  if ((receipt.entry === null) !== (receipt.nodes === null)) {
    throw new ReceiptError("its claims are not those of a receipt");
  }
  const isRestriction = receipt.kind === "restriction";
  if (
    (receipt.erasedAt === null) !== isRestriction ||
    (receipt.restrictedAt === null) === isRestriction
  ) {
    throw new ReceiptError("its claims are not those of a receipt");
  }
  return receipt;
}

/** Refuses what follows nothing and is not the first, and the other way round. */
export function checkPlace(link: Pick<Receipt, "sequence" | "previous">): void {
  if (link.sequence < 1 || (link.sequence === 1) !== (link.previous === null)) {
    throw new ReceiptError("its place in the chain is none");
  }
}

function claimsOf(fields: Fields): Omit<Receipt, "hash" | "keyId" | "compact" | "claims"> {
  return {
    issuer: fields.text("iss"),
    signedAt: secondsOf(fields, "iat"),
    erasureId: fields.text("jti"),
    kind: fields.text("kind"),
    commitment: fields.some("commitment", committedValue),
    acceptedAt: fields.time("accepted_at"),
    erasedAt: fields.someTime("erased_at"),
    restrictedAt: fields.someTime("restricted_at"),
    forgottenAt: fields.time("forgotten_at"),
    certifiedAt: fields.time("certified_at"),
    modelVersionBefore: fields.whole("model_version_before"),
    modelVersionAfter: fields.whole("model_version_after"),
    modelVersionCertified: fields.whole("model_version_certified"),
    certificate: fields.one("certificate", certificate),
    sequence: fields.whole("sequence"),
    previous: fields.someText("previous"),
    nodes: fields.has("nodes")
      ? new Map(fields.many("nodes", (node) => [node.text("node"), node.text("state")]))
      : null,
    entry: fields.some("cluster", (entry) => ({
      incarnation: entry.text("incarnation"),
      number: entry.whole("entry"),
    })),
  };
}

export function secondsOf(fields: Fields, name: string): Date {
  const time = new Date(fields.whole(name) * 1000);
  if (Number.isNaN(time.getTime())) {
    throw new ReceiptError("its claims are not those of a receipt");
  }
  return time;
}

function committedValue(fields: Fields): string {
  if (fields.text("method") !== COMMITMENT_METHOD) {
    throw new ReceiptError("its commitment is made in a way that this client does not know");
  }
  return fields.text("value");
}

export function objectOf(bytes: Bytes, part: string): JsonObject {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    return uniqueObject(text);
  } catch {
    throw new ReceiptError(`its ${part} cannot be read`);
  }
}
