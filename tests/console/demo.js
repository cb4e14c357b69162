/** The demo of the program that `RECANT_BINARY` names. */

import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

/** Starts the demo; its process and its address. */
export async function startDemo(folder) {
  const command = ["demo", "--data-dir", join(folder, "data"), "--listen", "127.0.0.1:0"];
  const demo = spawn(resolve(process.env["RECANT_BINARY"]), command, {
    stdio: ["ignore", "pipe", "ignore"],
  });
  for await (const line of createInterface(demo.stdout)) {
    const url = /listens on (http:\/\/\S+)/.exec(line)?.[1];
    if (url !== undefined) {
      demo.stdout.resume();
      return { demo, url };
    }
  }
  throw new Error("the demo did not start");
}
