/** A service that is gone, and back. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { NoAnswerError } from "recant-client";

import { collect, failure, Fixture } from "./server.js";

const fixture = Fixture.withData();
const STUBBORN = { attempts: 1000, firstPauseMs: 20, longestPauseMs: 100 };

test("what was asked before and during an outage is done after it", async () => {
  const client = fixture.client({ retries: STUBBORN });
  const hasty = fixture.client({ retries: { attempts: 1 } });
  const [before, during] = [fixture.somebody(), fixture.somebody()];
  const jwks = await client.jwks();
  const first = await client.eraseUser(before);
  await fixture.kill();

  const nobody = await failure(NoAnswerError, hasty.eraseUser(during));
  assert.equal(nobody.sent, false, "it is certain that it did not arrive");
  assert.match(nobody.message, /^POST \/erasures: /);
  await failure(NoAnswerError, hasty.waitUntilReady({ timeoutMs: 50 }));

  const asked = Promise.all([
    client.eraseUser(during),
    client.interactions.add({ user: "newcomer", item: "i1" }),
  ]);
  await fixture.revive();
  const [second, added] = await asked;
  assert.equal(added.accepted, 1, "what did not arrive may be sent again");
  for (const [user, erasure] of [
    [before, first],
    [during, second],
  ] as const) {
    const receipt = await erasure.verifiedReceipt({ jwks });
    assert.equal(receipt.erasureId, erasure.id);
    assert.deepEqual(await collect(client.export(user)), []);
  }
});
