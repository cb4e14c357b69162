/** A service that is a script of answers behind a real socket. */

import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Scripted {
  /** 0 ends the connection in place of an answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Ends the connection when the body was sent, before the length that was promised. */
  readonly cut?: boolean;
}

export interface AskedOf {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export const CUT: Scripted = { status: 0, headers: {}, body: "" };

export function ok(body: unknown): Scripted {
  const headers = { "content-type": "application/json" };
  return { status: 200, headers, body: JSON.stringify(body) };
}

export function lines(body: string, cut = false): Scripted {
  return { status: 200, headers: { "content-type": "application/x-ndjson" }, body, cut };
}

export function problem(
  status: number,
  code: string,
  headers: Record<string, string> = {},
): Scripted {
  const body = { type: `urn:x:${code}`, title: "T", status, code, detail: "mend it" };
  const type = { "content-type": "application/problem+json" };
  return { status, headers: { ...type, ...headers }, body: JSON.stringify(body) };
}

/** Answers one request after the other, and keeps what was asked. */
export class Script {
  answers: Scripted[] = [];
  asked: AskedOf[] = [];
  readonly #server: Server;

  static async start(): Promise<Script> {
    const script = new Script();
    await new Promise<void>((resolve) => script.#server.listen(0, "127.0.0.1", resolve));
    return script;
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on("data", (piece: Buffer) => pieces.push(piece));
      request.on("end", () => {
        const { method = "", url = "", headers } = request;
        this.asked.push({ method, path: url, headers, body: Buffer.concat(pieces).toString() });
        const answer = this.answers.shift() ?? CUT;
        if (answer.status === 0) {
          request.socket.destroy();
          return;
        }
        const more = answer.cut === true ? 1 : 0;
        const length = String(Buffer.byteLength(answer.body) + more);
        response.writeHead(answer.status, { ...answer.headers, "content-length": length });
        response.write(answer.body, () => {
          if (answer.cut === true) {
            request.socket.destroySoon();
          }
        });
        if (answer.cut !== true) {
          response.end();
        }
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
