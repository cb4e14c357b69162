/** One erasure: asked for, waited for, and its receipt checked. */

import { erasureStatus } from "./answers.js";
import { Asked, type EraseOptions } from "./asked.js";
import { ReceiptError, WaitTimeout } from "./errors.js";
import type { CallOptions, ErasureState, ErasureStatus, Names } from "./models.js";
import { pause, pausesBetweenLooks } from "./pauses.js";
import { isAbout, verifyReceipt, type KeySet, type Receipt } from "./receipts.js";
import type { Service } from "./service.js";
import { keys, receiptText, stateOf } from "./states.js";
import type { Request } from "./transport.js";

export interface WaitOptions extends CallOptions {
  /** How long to wait; `WaitTimeout` after that. */
  readonly timeoutMs?: number | undefined;
}

export interface VerifyOptions extends WaitOptions {
  /**
   * Keys that were fetched before or are published elsewhere; with them the service cannot vouch for
   * itself.
   */
  readonly jwks?: KeySet | undefined;
}

/** What the service answered to the request for an erasure. */
export interface AcceptedErasure {
  readonly id: string;
  readonly status: ErasureStatus;
  readonly acceptedAt: Date;
}

/**
 * An erasure that survives a power cut from now on. Printed, it shows neither whom it is about nor the
 * salt of its receipt.
 */
export class Erasure {
  /** What the service answered to the request. */
  readonly accepted: AcceptedErasure;
  readonly #service: Service;
  readonly #asked: Asked;
  readonly #salt: string | null;
  readonly #isRestriction: boolean;

  private constructor(
    service: Service,
    asked: Asked,
    accepted: AcceptedErasure,
    salt: string | null,
    isRestriction: boolean,
  ) {
    this.accepted = accepted;
    this.#service = service;
    this.#asked = asked;
    this.#salt = salt;
    this.#isRestriction = isRestriction;
  }

  /** @internal */
  static async request(
    service: Service,
    request: Request,
    names: Names,
    options: EraseOptions & { readonly isRestriction?: boolean },
  ): Promise<Erasure> {
    const asked = new Asked(request, names, options.idempotencyKey ?? crypto.randomUUID());
    const sent = asked.request(options.waitMs ?? 0, options);
    return await service.object(sent, (fields) => {
      const accepted = {
        id: fields.text("id"),
        status: erasureStatus(fields),
        acceptedAt: fields.time("accepted_at"),
      };
      const salt = fields.someText("receipt_salt");
      return new Erasure(service, asked, accepted, salt, options.isRestriction ?? false);
    });
  }

  get id(): string {
    return this.accepted.id;
  }

  /**
   * What opens the commitment in the receipt; without it nobody can show whom it is about. It is kept
   * nowhere else: keep it with the receipt.
   */
  get receiptSalt(): string | null {
    return this.#salt;
  }

  /** The key of the request: with it and the same names, `erase` means this erasure again. */
  get idempotencyKey(): string {
    return this.#asked.idempotencyKey;
  }

  /** What was named. */
  get names(): Names {
    return this.#asked.names;
  }

  /** How far it has come. */
  state(options: CallOptions = {}): Promise<ErasureState> {
    return stateOf(this.#service, this.id, options);
  }

  /** Waits until the live model has forgotten, a minute unless told otherwise. */
  waitUntilForgotten(options: WaitOptions = {}): Promise<ErasureState> {
    return this.#wait("forgotten", options.timeoutMs ?? 60_000, options);
  }

  /** Waits until there is a certificate and a receipt, five minutes unless told otherwise. */
  waitUntilCertified(options: WaitOptions = {}): Promise<ErasureState> {
    return this.#wait("certified", options.timeoutMs ?? 300_000, options);
  }

  /** The signed receipt as it came; `ReceiptNotReady` before there is one. */
  receipt(options: CallOptions = {}): Promise<string> {
    return receiptText(this.#service, this.id, options);
  }

  /**
   * Waits for the receipt and checks it: who signed it, that it is about this erasure, and that its
   * commitment opens to what was named. Whether the certificate reaches its target is in
   * `Receipt.certificate`.
   */
  async verifiedReceipt(options: VerifyOptions = {}): Promise<Receipt> {
    await this.waitUntilCertified(options);
    const compact = await this.receipt(options);
    const jwks = options.jwks ?? (await keys(this.#service, options));
    const receipt = await verifyReceipt(compact, jwks);
    if (receipt.erasureId !== this.id) {
      throw new ReceiptError("it is the receipt of another erasure");
    }
    if (this.#salt === null) {
      throw new ReceiptError("there is no salt: what it is about cannot be checked");
    }
    const act = this.#isRestriction ? "restriction" : "erasure";
    if (!(await isAbout(receipt, this.#salt, this.names, act))) {
      throw new ReceiptError("it is not about what was named");
    }
    return receipt;
  }

  async #wait(
    wanted: "forgotten" | "certified",
    timeoutMs: number,
    { signal }: CallOptions,
  ): Promise<ErasureState> {
    const deadline = performance.now() + timeoutMs;
    // The service wakes whoever waits for it to forget; for the certificate it has to be asked.
    await this.#asked.untilForgotten(this.#service, deadline, { signal });
    for (const milliseconds of pausesBetweenLooks()) {
      const state = await this.state({ signal });
      const isForgotten = state.status === "forgotten" || state.status === "certified";
      if (wanted === "forgotten" ? isForgotten : state.status === "certified") {
        return state;
      }
      const left = deadline - performance.now();
      if (left <= 0) {
        throw new WaitTimeout(wanted, state);
      }
      await pause(Math.min(milliseconds, left), signal);
    }
    throw new Error("pauses never end");
  }
}
