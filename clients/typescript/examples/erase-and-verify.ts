/** Erases a user and checks the receipt: node erase-and-verify.js URL USER [API_KEY] */

import { Client } from "recant-client";

async function main(url: string, user: string, apiKey?: string): Promise<void> {
  const client = new Client(url, { apiKey });
  const held = async (): Promise<number> => {
    let rows = 0;
    for await (const _ of client.export(user)) {
      rows += 1;
    }
    return rows;
  };

  // Fetched before, so that the service cannot vouch for itself with new ones.
  const jwks = await client.jwks();
  console.log(`${await held()} rows are held`);
  const erasure = await client.eraseUser(user);
  console.log(
    `erasure ${erasure.id} is durable; the salt of its receipt is ${erasure.receiptSalt}`,
  );
  const state = await erasure.waitUntilForgotten();
  console.log(`version ${state.modelVersionAfter} of the model has forgotten`);
  const receipt = await erasure.verifiedReceipt({ jwks });
  console.log(
    `the receipt holds: number ${receipt.sequence} of ${receipt.issuer}, about this user`,
  );
  const { isProof, rootMeanSquare } = receipt.certificate;
  if (isProof && rootMeanSquare !== null) {
    const bound = rootMeanSquare.toExponential(1);
    console.log(`proven: scores are within ${bound} of a model that never saw them`);
  } else {
    console.log("the certificate does not reach its target");
  }
  console.log(`${await held()} rows are held`);
}

const [url, user, apiKey] = process.argv.slice(2);
if (url === undefined || user === undefined) {
  console.error("usage: node erase-and-verify.js URL USER [API_KEY]");
  process.exitCode = 2;
} else {
  await main(url, user, apiKey);
}
