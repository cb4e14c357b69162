/** How the service is. */

import { NoAnswerError, Unavailable } from "./errors.js";
import type { CallOptions, Health } from "./models.js";
import { pause, pausesBetweenLooks } from "./pauses.js";
import * as routes from "./routes.js";
import type { Route } from "./routes.js";
import type { Service } from "./service.js";

/** What is amiss, as the service says when it is asked once; `null` when nothing is. */
async function amiss(
  service: Service,
  route: Route,
  { signal }: CallOptions,
): Promise<string | null> {
  try {
    await service.askOnce({ route, signal }, (answer) => answer.text());
    return null;
  } catch (error) {
    if (error instanceof Unavailable) {
      return error.detail;
    }
    throw error;
  }
}

export async function health(service: Service, options: CallOptions): Promise<Health> {
  const ill = await amiss(service, routes.ALIVE, options);
  const unready = await amiss(service, routes.READY, options);
  return { alive: ill === null, ready: unready === null, reason: ill ?? unready };
}

/** Waits until there is a live model; throws what the service last said when it takes longer. */
export async function waitUntilReady(
  service: Service,
  timeoutMs: number,
  { signal }: CallOptions,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (const milliseconds of pausesBetweenLooks()) {
    try {
      await service.askOnce({ route: routes.READY, signal }, (answer) => answer.text());
      return;
    } catch (error) {
      const mayPass = error instanceof Unavailable || error instanceof NoAnswerError;
      const left = deadline - performance.now();
      if (!mayPass || left <= 0) {
        throw error;
      }
      await pause(Math.min(milliseconds, left), signal);
    }
  }
}
