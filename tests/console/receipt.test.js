/** The commitment and the archive, without a browser: the modules are those the page loads. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";

const sources = resolve(process.env["RECANT_CONSOLE"]);
const load = (name) => import(pathToFileURL(join(sources, name)));
const { provesInclusion } = await load("inclusion.js");
const { BadReceipt, commitment, isSettlement, verify, verifySettlement } = await load("receipt.js");
const { buckets, parse, quantile, sum } = await load("prometheus.js");
const { zip } = await load("zip.js");

const SALT = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString("base64url");

const pair = (user, item, type) => ({ user, item, ...(type !== undefined && { type }) });

/** The same vectors as those of the crate that makes receipts. */
const VECTORS = [
  [{ users: ["ada"] }, "jbCb3QNXfGSXzYI9sorqOh5tK2uVJRq6nNH0OFuNnxI"],
  [{ items: ["dune"] }, "hCgcgR-2TK9MDsatO4tJNOYdL6ywM9IDgkID91lJ82E"],
  [
    { interactions: [pair("bob", "x"), pair("ada", "y"), pair("ada", "x"), pair("ada", "y")] },
    "zITgoF3NU-akt_4XzRjltK8agz_4UDwEJzbpYuCn74c",
  ],
  [
    {
      interactions: [pair("bob", "x", "view"), pair("ada", "x", "view"), pair("bob", "x", "like")],
    },
    "a2DDFWhOND2mw0KzhRgLeWtePtJrEnWKTNCYsafL91Q",
  ],
  [
    { users: ["eve"], interactions: [pair("bob", "y"), pair("ada", "x", "view")] },
    "RNQstfOdVm0vghU_oVAupZd8u0c4UZdCXQ4MkT8ithg",
  ],
];

test("a commitment is the one that the service makes", async () => {
  for (const [names, expected] of VECTORS) {
    assert.equal(await commitment(SALT, names), expected, JSON.stringify(names));
  }
});

test("a restriction of users has a commitment of its own", async () => {
  const users = { users: ["bob", "ada ", "bob"] };
  const expected = "ljXjDNDxhbeJVUaOokw6apGaJXrll4jotMzWvXDe8Ao";
  assert.equal(await commitment(SALT, users, "restriction"), expected);
  assert.notEqual(await commitment(SALT, users, "several"), expected);
  const more = { ...users, items: ["x"] };
  assert.equal(await commitment(SALT, more, "restriction"), await commitment(SALT, more));
});

test("order, repetition and blanks change no commitment", async () => {
  const one = { interactions: [pair("b", "x"), pair("a", "y")], users: ["u", "é"] };
  const same = {
    interactions: [pair("a", "y "), pair("b", "x"), pair("a", "y")],
    users: [" é", "u", "u"],
  };
  assert.equal(await commitment(SALT, one), await commitment(SALT, same));
  const other = { ...one, items: ["u"] };
  assert.notEqual(await commitment(SALT, one), await commitment(SALT, other));
});

function signed(header, claims, key) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part(header)}.${part(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}

async function thumbprint({ crv, kty, x }) {
  const text = new TextEncoder().encode(JSON.stringify({ crv, kty, x }));
  return Buffer.from(await crypto.subtle.digest("SHA-256", text)).toString("base64url");
}

test("a signature holds, and a changed receipt, key or header does not", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const jwk = publicKey.export({ format: "jwk" });
  const kid = await thumbprint(jwk);
  const jwks = {
    keys: [
      { kty: "RSA", kid: "other" },
      { ...jwk, kid },
    ],
  };
  const header = { alg: "EdDSA", typ: "recant-receipt+jwt", kid };
  const claims = { jti: "one", sequence: 7 };
  const good = signed(header, claims, privateKey);
  assert.deepEqual(await verify(`${good}\n`, jwks), claims);
  const [head, , signature] = good.split(".");
  const forged = Buffer.from('{"jti":"two","sequence":7}').toString("base64url");
  const stranger = generateKeyPairSync("ed25519").privateKey;
  const bad = [
    `${head}.${forged}.${signature}`,
    good.slice(0, -4),
    signed({ ...header, alg: "none" }, claims, privateKey),
    signed({ ...header, typ: "JWT" }, claims, privateKey),
    signed({ ...header, crit: ["x"] }, claims, privateKey),
    signed({ ...header, kid: "unknown" }, claims, privateKey),
    signed(header, claims, stranger),
    "",
    "a.b",
    "!.!.!",
  ];
  for (const text of bad) {
    await assert.rejects(verify(text, jwks), BadReceipt, text);
  }
  const renamed = { keys: [{ ...publicPart(stranger), kid }] };
  await assert.rejects(verify(good, renamed), BadReceipt);
});

test("a settlement is told from a receipt, and holds as one", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const jwk = publicKey.export({ format: "jwk" });
  const kid = await thumbprint(jwk);
  const jwks = { keys: [{ ...jwk, kid }] };
  const claims = { node: "b", upto: 7, how: "caught_up", sequence: 2 };
  const header = { alg: "EdDSA", typ: "recant-settlement+jwt", kid };
  const good = signed(header, claims, privateKey);
  assert(isSettlement(` ${good}\n`));
  assert.deepEqual(await verifySettlement(good, jwks), claims);
  await assert.rejects(verify(good, jwks), BadReceipt);
  const receipt = signed({ ...header, typ: "recant-receipt+jwt" }, claims, privateKey);
  assert(![receipt, "", "a.b.c"].some(isSettlement));
  await assert.rejects(verifySettlement(receipt, jwks), BadReceipt);
  const stranger = generateKeyPairSync("ed25519").privateKey;
  await assert.rejects(verifySettlement(signed(header, claims, stranger), jwks), BadReceipt);
});

function publicPart(key) {
  const { kty, crv, x } = key.export({ format: "jwk" });
  return { kty, crv, x };
}

const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts)).digest();
const leafOf = (text) => sha256(Buffer.of(0), Buffer.from(text));
const nodeOf = (left, right) => sha256(Buffer.of(1), left, right);

/** The root of these leaves, as RFC 9162, section 2.1.1, defines it. */
function rootOf(leaves) {
  return leaves.length === 1 ? leaves[0] : nodeOf(...halves(leaves).map(rootOf));
}

/** The proof of one of them, as section 2.1.3.1 defines it. */
function pathOf(index, leaves) {
  if (leaves.length === 1) {
    return [];
  }
  const [left, right] = halves(leaves);
  return index < left.length
    ? [...pathOf(index, left), rootOf(right)]
    : [...pathOf(index - left.length, right), rootOf(left)];
}

function halves(leaves) {
  let split = 1;
  while (split * 2 < leaves.length) {
    split *= 2;
  }
  return [leaves.slice(0, split), leaves.slice(split)];
}

function note(name, size, root, { privateKey, publicKey }) {
  const text = `${name}\n${size}\n${root.toString("base64")}\n`;
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url");
  const id = sha256(Buffer.from(`${name}\n`), Buffer.of(1), raw).subarray(0, 4);
  const signature = Buffer.concat([id, sign(null, Buffer.from(text), privateKey)]);
  return `${text}\n— ${name} ${signature.toString("base64")}\n`;
}

test("a proof holds for each receipt of logs of every size, and for no other", async () => {
  const pair = generateKeyPairSync("ed25519");
  const stranger = generateKeyPairSync("ed25519");
  const jwks = { keys: [pair.publicKey.export({ format: "jwk" })] };
  for (let size = 1; size <= 9; size += 1) {
    const texts = Array.from({ length: size }, (_, number) => `receipt ${number}`);
    const leaves = texts.map(leafOf);
    const head = note("recant", size, rootOf(leaves), pair);
    for (const [index, text] of texts.entries()) {
      const path = pathOf(index, leaves).map((hash) => `${hash.toString("base64")}\n`);
      const proof = (at, lines, signedHead) =>
        `c2sp.org/tlog-proof@v1\nindex ${at}\n${lines.join("")}\n${signedHead}`;
      const good = proof(index, path, head);
      const proven = await provesInclusion(good, text, index + 1, jwks);
      assert.deepEqual(proven, { name: "recant", size }, good);
      const bad = [
        [good, `${text}!`, index + 1],
        [good, text, index + 2],
        [proof(index + 1, path, head), text, index + 2],
        [
          proof(index, [...path, path[0] ?? `${leaves[0].toString("base64")}\n`], head),
          text,
          index + 1,
        ],
        [proof(index, path, note("recant", size, rootOf(leaves), stranger)), text, index + 1],
        [proof(index, path, head.replace("recant\n", "recent\n")), text, index + 1],
        [good.replace("@v1", "@v2"), text, index + 1],
        ["", text, index + 1],
      ];
      if (size > 1) {
        bad.push([proof(index, path.slice(1), head), text, index + 1]);
      }
      for (const [changed, about, sequence] of bad) {
        await assert.rejects(provesInclusion(changed, about, sequence, jwks), BadReceipt, changed);
      }
    }
  }
});

test("an archive is opened by another program", async () => {
  const files = [
    ["a.txt", "one\n"],
    ["folder/é.txt", "zwei – три\n".repeat(1000)],
    ["empty", ""],
  ];
  const folder = await mkdtemp(join(tmpdir(), "recant-zip-"));
  try {
    await writeFile(join(folder, "a.zip"), Buffer.concat(zip(files)));
    const script =
      "import sys, zipfile; z = zipfile.ZipFile('a.zip'); assert z.testzip() is None; z.extractall()";
    execFileSync("python3", ["-c", script], { cwd: folder });
    for (const [name, text] of files) {
      assert.equal(await readFile(join(folder, name), "utf8"), text);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("metrics are read with their labels, and quantiles follow from two readings", () => {
  const before = parse(
    'h_bucket{route="/a",le="1"} 4\nh_bucket{route="/a",le="2"} 4\nh_bucket{route="/a",le="+Inf"} 5\n',
  );
  const after = parse(
    '# HELP h x\nh_bucket{route="/a",le="1"} 8\nh_bucket{route="/a",le="2"} 14\n' +
      'h_bucket{route="/a",le="+Inf"} 15\nh_bucket{route="/b",le="1"} 9\nn{a="b\\"c,}"} 2.5e-3\nn{a="d"} 1\n',
  );
  const ofA = ({ route }) => route === "/a";
  const [first, second] = [before, after].map((samples) => buckets(samples, "h", ofA));
  assert.deepEqual([...second.keys()], [1, 2, Infinity]);
  // Ten came: four up to 1, and six from 1 to 2.
  assert.equal(quantile(0.2, first, second), 0.5);
  assert.equal(quantile(0.5, second, second), undefined);
  assert.equal(sum(after, "n"), 1.0025);
  assert.equal(
    sum(after, "n", ({ a }) => a === 'b"c,}'),
    0.0025,
  );
});
