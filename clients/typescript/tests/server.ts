/** Real servers, started from the binary that `RECANT_BINARY` names, and clients of them. */

import assert from "node:assert/strict";
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before } from "node:test";

import { Client, type ClientOptions, type ExportedInteraction, type Id } from "recant-client";

export const ADMIN = "key-of-the-admin";
export const READER = "key-of-a-reader";
export const ERASER = "key-of-an-eraser";

const USERS = 160;
export const ITEMS = 30;
/** Users of the data set whom no test changes. */
export const READERS = [155, 156, 157, 158, 159].map((user) => `u${user}`);

function binary(): string {
  const named = process.env["RECANT_BINARY"];
  assert(named !== undefined, "RECANT_BINARY must name the program to test against");
  return resolve(named);
}

/** A process that serves, and where. */
export class Server {
  #isStopping = false;

  private constructor(
    readonly url: string,
    readonly process: ChildProcess,
    log: string,
  ) {
    process.once("exit", (code, signal) => {
      if (!this.#isStopping) {
        console.error(`the server ended with ${code ?? signal}: ${readFileSync(log, "utf8")}`);
      }
    });
  }

  static async start(folder: string, args: string[], listen = "127.0.0.1:0"): Promise<Server> {
    const log = join(folder, "log");
    const started = spawn(binary(), [...args, "--listen", listen], {
      cwd: folder,
      stdio: ["ignore", "pipe", openSync(log, "a")],
    });
    assert(started.stdout !== null);
    for await (const line of createInterface(started.stdout)) {
      const url = /listens on (http:\/\/\S+)/.exec(line)?.[1];
      if (url !== undefined) {
        const server = new Server(url, started, log);
        started.stdout.resume();
        await new Client(url).waitUntilReady();
        return server;
      }
    }
    return assert.fail(`the server did not start: ${readFileSync(log, "utf8")}`);
  }

  /** Ends the process and waits for its end. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    this.#isStopping = true;
    if (this.process.exitCode !== null || this.process.signalCode !== null) {
      return;
    }
    const ended = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill(signal);
    await ended;
  }
}

/** Interactions of some groups of users, a catalogue, and a configuration with keys. */
async function writeData(folder: string, settings: string): Promise<void> {
  const rows = Array.from({ length: USERS }, (_, user) => {
    const liked = new Set(Array.from({ length: 10 }, (_, n) => (user * 7 + n * n) % ITEMS));
    return [...liked].map((item) => `u${user},i${item}\n`).join("");
  });
  await writeFile(join(folder, "rows.csv"), `user_id,item_id\n${rows.join("")}`);
  const items = Array.from({ length: ITEMS }, (_, item) => {
    return `i${item},Item ${item},${item % 2 === 0 ? "even" : "odd"}\n`;
  });
  await writeFile(join(folder, "items.csv"), `item_id,title,tags\n${items.join("")}`);
  const keys = Object.entries({ admin: ADMIN, read: READER, erase: ERASER }).map(([role, key]) => {
    const digest = createHash("sha256").update(key).digest("hex");
    return `[[access.keys]]\nname = "${role}"\nsha256 = "${digest}"\nroles = ["${role}"]\n`;
  });
  const types = "[feedback.types.view]\nweight = 0.5\n[feedback.types.dislike]\ntarget = 0.0\n";
  await writeFile(join(folder, "keys.toml"), types + keys.join("") + settings);
}

const SERVE = ["serve", "--data-dir", "data", "--config", "keys.toml"];

/** A server for all tests of a file. */
export class Fixture {
  #folder: string | undefined;
  #server: Server | undefined;
  #taken = 0;

  /**
   * One with keys and a small data set, with which `first` is done before the tests; `settings` come after
   * those that all have.
   */
  static withData(first?: (client: Client) => Promise<void>, settings = ""): Fixture {
    const prepare = async (folder: string): Promise<void> => {
      await writeData(folder, settings);
      const files = ["import", "rows.csv", "--items", "items.csv", "--data-dir", "data"];
      execFileSync(binary(), files, { cwd: folder, stdio: "pipe" });
    };
    return new Fixture(SERVE, prepare, first);
  }

  /** One with the data of the demo, open to the caller of this machine. */
  static demo(): Fixture {
    return new Fixture(["demo"], () => Promise.resolve());
  }

  private constructor(
    args: string[],
    prepare: (folder: string) => Promise<void>,
    first?: (client: Client) => Promise<void>,
  ) {
    before(async () => {
      this.#folder = await mkdtemp(join(tmpdir(), "recant-client-"));
      await prepare(this.#folder);
      this.#server = await Server.start(this.#folder, args);
      await first?.(this.client());
    });
    after(async () => {
      await this.#server?.stop();
      await rm(this.#folder ?? "", { recursive: true, force: true });
    });
  }

  get server(): Server {
    assert(this.#server !== undefined, "the server runs while tests do");
    return this.#server;
  }

  get url(): string {
    return this.server.url;
  }

  /** A client that may do everything, unless told otherwise. */
  client(options: ClientOptions = {}): Client {
    return new Client(this.url, { apiKey: ADMIN, ...options });
  }

  /** A user of the data set whom no other test takes. */
  somebody(): string {
    this.#taken += 1;
    assert(this.#taken < USERS - READERS.length);
    return `u${this.#taken}`;
  }

  /** Kills the server as a power cut would end it. */
  async kill(): Promise<void> {
    await this.server.stop("SIGKILL");
  }

  /** Starts it again where it was. */
  async revive(): Promise<void> {
    this.#server = await Server.start(this.#folder ?? "", SERVE, new URL(this.url).host);
  }
}

/** All values of an iterator. */
export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const value of values) {
    all.push(value);
  }
  return all;
}

/** The values one after the other, as a source that has to be waited for. */
export async function* later<T>(values: Iterable<T>): AsyncGenerator<T, void, undefined> {
  for (const value of values) {
    yield await Promise.resolve(value);
  }
}

/** Waits until a condition holds: what is added is learnt in the background. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    assert(performance.now() < deadline, "it does not come to hold");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** The error that a promise ends with, which must be of this class. */
export async function failure<E extends Error>(
  Kind: abstract new (...args: never[]) => E,
  promise: Promise<unknown>,
): Promise<E> {
  const error = await promise.then(
    () => assert.fail(`${Kind.name} was expected`),
    (error: unknown) => error,
  );
  assert(error instanceof Kind, `${Kind.name} was expected: ${String(error)}`);
  return error;
}

/** What is held of what a user did. */
export async function did(client: Client, user: Id): Promise<ExportedInteraction[]> {
  return (await collect(client.export(user))).filter((row) => "item" in row);
}
