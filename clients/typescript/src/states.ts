/** What there is to ask about an erasure by its id, and the keys that its receipt is signed with. */

import { erasureState } from "./answers.js";
import type { CallOptions, ErasureState } from "./models.js";
import type { KeySet } from "./receipts.js";
import * as routes from "./routes.js";
import type { Service } from "./service.js";

/** How far an erasure has come. */
export function stateOf(
  service: Service,
  id: string,
  { signal }: CallOptions,
): Promise<ErasureState> {
  return service.object({ route: routes.ERASURE, pathId: id, signal }, erasureState);
}

/** The signed receipt of an erasure. */
export function receiptText(
  service: Service,
  id: string,
  { signal }: CallOptions,
): Promise<string> {
  return service.ask({ route: routes.RECEIPT, pathId: id, signal }, (answer) => answer.text());
}

/** The public keys that receipts are signed with. */
export function keys(service: Service, { signal }: CallOptions): Promise<KeySet> {
  return service.object({ route: routes.JWKS, signal }, (fields) => ({
    ...fields.raw(),
    keys: fields.many("keys", (key) => key.raw()),
  }));
}
