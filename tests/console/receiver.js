/** An endpoint of webhooks: it takes messages, and answers each path as it is told to. */

import { createServer } from "node:http";

export class Receiver {
  #server;
  #answers;

  /** Starts one that answers these paths with these statuses. */
  static async start(answers) {
    const receiver = new Receiver();
    receiver.#answers = { ...answers };
    receiver.#server = createServer((request, response) => {
      request.resume();
      request.once("end", () => {
        response.writeHead(receiver.#answers[request.url]).end();
      });
    });
    await new Promise((resolve) => receiver.#server.listen(0, "127.0.0.1", resolve));
    return receiver;
  }

  /** Answers this path with another status from now on. */
  answer(path, status) {
    this.#answers[path] = status;
  }

  /** The section of a configuration that names a path of it, with more lines. */
  section(name, path, more = "") {
    const { port } = this.#server.address();
    return (
      `[[webhooks]]\nname = "${name}"\nurl = "http://127.0.0.1:${port}${path}"\n` +
      `allow_internal = true\nevery_seconds = 1\nretry_seconds = [1]\n${more}\n`
    );
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
