/** The program that `RECANT_BINARY` names, with a small store of its own, started and stopped at will. */

import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { openSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const KEYS = {
  admin: "key-of-the-admin",
  reader: "key-of-the-reader",
  writer: "key-of-the-writer",
  eraser: "key-of-the-eraser",
};

const ROLES = { admin: ["admin"], reader: ["read"], writer: ["read", "write"], eraser: ["erase"] };
const USERS = 60;
const ITEMS = 40;
const GENRES = ["Action", "Comedy", "Drama"];

const digest = (key) => createHash("sha256").update(key).digest("hex");

function configuration(hasKeys, more) {
  const keys = Object.entries(KEYS).map(
    ([name, key]) =>
      `[[access.keys]]\nname = "${name}"\nsha256 = "${digest(key)}"\nroles = ${JSON.stringify(ROLES[name])}\n`,
  );
  return `[model]\nlambda = 0.1\n${hasKeys ? keys.join("") : ""}${more}`;
}

/** What people of a group like: films of one genre, and some of the others. */
function interactions() {
  const rows = ["user,item"];
  for (let user = 0; user < USERS; user += 1) {
    for (let item = 0; item < ITEMS; item += 1) {
      const likes = item % 3 === user % 3 ? (user + item) % 4 > 0 : (user * item) % 7 === 1;
      if (likes) {
        rows.push(`person-${user},film-${item}`);
      }
    }
  }
  return `${rows.join("\n")}\n`;
}

function items() {
  const rows = Array.from({ length: ITEMS }, (_, item) => {
    const genre = GENRES[item % 3];
    return `film-${item},Film <b>${item}</b>,${genre.toLowerCase()}`;
  });
  return `item_id,title,tags\n${rows.join("\n")}\n`;
}

/** Makes a store, trained, in a folder of its own. */
export class Server {
  #binary = resolve(process.env["RECANT_BINARY"]);
  #folder;
  #process;
  url;

  /** Serves with keys or without, and with more lines in its configuration. */
  static async start({ hasKeys, more = "" }) {
    const server = new Server();
    server.#folder = await mkdtemp(join(tmpdir(), "recant-console-"));
    const write = (name, text) => writeFile(join(server.#folder, name), text);
    await write("recant.toml", configuration(hasKeys, more));
    await write("likes.csv", interactions());
    await write("films.csv", items());
    server.#run("import", "likes.csv", "--items", "films.csv");
    server.#run("train");
    await server.serve();
    return server;
  }

  #run(command, ...rest) {
    const place = ["--data-dir", "data", "--config", "recant.toml"];
    execFileSync(this.#binary, [command, ...rest, ...place], { cwd: this.#folder, stdio: "pipe" });
  }

  /** What a command of the program prints; it runs in the store's folder. */
  command(...words) {
    return execFileSync(this.#binary, words, { cwd: this.#folder, encoding: "utf8" });
  }

  /** Puts a file beside the store, for commands. */
  async put(name, content) {
    await writeFile(join(this.#folder, name), content);
  }

  /** Starts serving, where it was served before if it was. */
  async serve() {
    const log = join(this.#folder, "log");
    const listen = this.url === undefined ? "127.0.0.1:0" : new URL(this.url).host;
    const command = ["serve", "--data-dir", "data", "--config", "recant.toml", "--listen", listen];
    this.#process = spawn(this.#binary, command, {
      cwd: this.#folder,
      stdio: ["ignore", "pipe", openSync(log, "a")],
    });
    let url;
    for await (const line of createInterface(this.#process.stdout)) {
      url = /listens on (http:\/\/\S+)/.exec(line)?.[1];
      if (url !== undefined) {
        break;
      }
    }
    if (url === undefined) {
      throw new Error(`the server did not start: ${readFileSync(log, "utf8")}`);
    }
    this.#process.stdout.resume();
    this.url = url;
  }

  /** Ends serving; the store stays. */
  async stop() {
    if (this.#process !== undefined && this.#process.exitCode === null) {
      const ended = new Promise((resolve) => this.#process.once("exit", resolve));
      this.#process.kill();
      await ended;
    }
  }

  async remove() {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
