/**
 * Answers read field by field: what is missing or of another type is an error, what is unknown is left
 * alone, so that a newer service can say more.
 */

import { UnexpectedAnswer } from "./errors.js";

/** A JSON object as it came. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** With a date, a time and a zone: `Date` takes much more than that, and guesses zones. */
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})$/;

export class Fields {
  readonly #value: JsonObject;

  constructor(value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new UnexpectedAnswer("the answer has something else where an object belongs");
    }
    this.#value = value as JsonObject;
  }

  /** The object that is written in `text`. */
  static ofJson(text: string): Fields {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw new UnexpectedAnswer("the answer is not JSON");
    }
    return new Fields(value);
  }

  #get(name: string): unknown {
    return Object.hasOwn(this.#value, name) ? this.#value[name] : undefined;
  }

  #wrong(name: string): never {
    throw new UnexpectedAnswer(`the answer has no ${name}, or of another type`);
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined && this.#get(name) !== null;
  }

  text(name: string): string {
    const value = this.#get(name);
    return typeof value === "string" ? value : this.#wrong(name);
  }

  number(name: string): number {
    const value = this.#get(name);
    return typeof value === "number" ? value : this.#wrong(name);
  }

  whole(name: string): number {
    const value = this.number(name);
    return Number.isInteger(value) ? value : this.#wrong(name);
  }

  truth(name: string): boolean {
    const value = this.#get(name);
    return typeof value === "boolean" ? value : this.#wrong(name);
  }

  time(name: string): Date {
    const text = this.text(name);
    const time = new Date(TIME.test(text) ? text : Number.NaN);
    return Number.isNaN(time.getTime()) ? this.#wrong(name) : time;
  }

  object(name: string): JsonObject {
    return new Fields(this.#get(name)).raw();
  }

  #list(name: string): readonly unknown[] {
    const value = this.#get(name);
    return Array.isArray(value) ? value : this.#wrong(name);
  }

  texts(name: string): readonly string[] {
    const values = this.#list(name);
    return values.every((value) => typeof value === "string") ? values : this.#wrong(name);
  }

  many<T>(name: string, read: (fields: Fields) => T): readonly T[] {
    return this.#list(name).map((value) => read(new Fields(value)));
  }

  one<T>(name: string, read: (fields: Fields) => T): T {
    return read(new Fields(this.#get(name)));
  }

  #some<T>(name: string, read: () => T): T | null {
    return this.has(name) ? read() : null;
  }

  someText(name: string): string | null {
    return this.#some(name, () => this.text(name));
  }

  someNumber(name: string): number | null {
    return this.#some(name, () => this.number(name));
  }

  someWhole(name: string): number | null {
    return this.#some(name, () => this.whole(name));
  }

  someTruth(name: string): boolean | null {
    return this.#some(name, () => this.truth(name));
  }

  someTime(name: string): Date | null {
    return this.#some(name, () => this.time(name));
  }

  some<T>(name: string, read: (fields: Fields) => T): T | null {
    return this.#some(name, () => this.one(name, read));
  }

  someMany<T>(name: string, read: (fields: Fields) => T): readonly T[] | null {
    return this.#some(name, () => this.many(name, read));
  }

  /** The object as it came. */
  raw(): JsonObject {
    return this.#value;
  }
}
