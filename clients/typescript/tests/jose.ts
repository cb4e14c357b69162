/** Receipts as `jose` reads them, a library that knows nothing of this service. */

import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";

import { compactVerify, createLocalJWKSet, type JSONWebKeySet } from "jose";
import type { KeySet, Receipt } from "recant-client";

/** Whether it takes the signature for good too, and reads the same claims. */
export async function agrees(receipt: Receipt, jwks: KeySet): Promise<boolean> {
  const keys = createLocalJWKSet(jwks as JSONWebKeySet);
  const { payload, protectedHeader } = await compactVerify(receipt.compact, keys);
  assert.equal(protectedHeader.kid, receipt.keyId);
  const claims: unknown = JSON.parse(new TextDecoder().decode(payload));
  return isDeepStrictEqual(claims, receipt.claims);
}

/** Whether it takes the signature of a compact JWS for good. */
export async function accepts(compact: string, jwks: KeySet): Promise<boolean> {
  const keys = createLocalJWKSet(jwks as JSONWebKeySet);
  return await compactVerify(compact, keys).then(
    () => true,
    () => false,
  );
}
