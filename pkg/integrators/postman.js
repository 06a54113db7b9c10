// A Postman collection made from the contract: the requests are its examples, put into an order in which each succeeds,
// and with what an earlier answer gave in place of an example where that is needed.

import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";

import { bin, command, here, root } from "./processes.js";

const { convertV2 } = createRequire(import.meta.url)("openapi-to-postmanv2");

/**
 * story is the order of the requests, by their names in the contract. `path` and `body` replace values of the example;
 * `keep` says which value of the answer a variable has from then on.
 */
const story = [
  { name: "Create a card" },
  { name: "Create a batch of cards" },
  { name: "Activate a card", path: { card_id: "print-2026-000001" } },
  { name: "Create a token for the card", keep: ["token", "answer.token.value"] },
  { name: "Retrieve card by Token", body: { token: "{{token}}" } },
  { name: "Rotate the PIN of a card" },
  { name: "Retrieve card by card ID" },
  { name: "Get cards" },
  { name: "List customer cards" },
  { name: "Get customer card details" },
  { name: "Create transaction", body: { token: "{{token}}", pending: true }, keep: ["transaction_id", "answer.id"] },
  { name: "Capture pending transaction", path: { transaction_id: "{{transaction_id}}" } },
  { name: "Void pending transaction", path: { transaction_id: "{{transaction_id}}" } },
  { name: "List card transactions" },
  { name: "Delete card by card ID" },
];

/** requests lists the requests of a collection, whatever folder they are in. */
const requests = (items) => items.flatMap((item) => (item.item ? requests(item.item) : [item]));

/** told fits a request into the story. */
function told(item, { path = {}, body = {}, keep }) {
  for (const variable of item.request.url.variable) {
    variable.value = { aid: "{{account}}", ...path }[variable.key] ?? variable.value;
  }
  // The cursor of the example belongs to a page that was never there.
  item.request.url.query = item.request.url.query.filter(({ key }) => key !== "starting_after");
  if (item.request.body?.raw) {
    item.request.body.raw = JSON.stringify({ ...JSON.parse(item.request.body.raw), ...body }, null, 2);
  }
  item.request.auth = { type: "bearer", bearer: [{ key: "token", value: "{{access_token}}", type: "string" }] };
  const script = [
    "const answer = pm.response.json();",
    "pm.test('succeeds', () => pm.response.to.have.status(200));",
    "pm.test('has a request id', () => pm.response.to.have.header('X-Request-Id'));",
  ];
  if (keep) {
    script.push(`pm.test('tells what comes next', () => pm.expect(${keep[1]}).to.be.a('string').and.not.empty);`);
    script.push(`pm.collectionVariables.set('${keep[0]}', ${keep[1]});`);
  }
  item.event = [{ listen: "test", script: { type: "text/javascript", exec: script } }];
  return item;
}

/** collection makes the collection. Each operation of the contract is in it once. */
async function collection() {
  const converted = await new Promise((resolve, reject) => {
    readFile(`${root}openapi/kort.yaml`, "utf8").then((data) => convertV2(
      { type: "string", data }, { folderStrategy: "Tags", parametersResolution: "Example" },
      (error, result) => (error || !result.result ? reject(error ?? new Error(result.reason)) : resolve(result.output[0].data)),
    ), reject);
  });
  const all = requests(converted.item);
  assert.deepEqual(all.map(({ name }) => name).sort(), story.map(({ name }) => name).sort());
  converted.item = story.map((part) => told(all.find(({ name }) => name === part.name), part));
  return converted;
}

/** runPostman generates the collection and lets newman send it. It returns what was done, in a few words. */
export async function runPostman(url, account, token) {
  await mkdir(`${here}build`, { recursive: true });
  const file = `${here}build/kort.postman_collection.json`, report = `${here}build/newman.json`;
  await writeFile(file, JSON.stringify(await collection(), null, 2));
  const variables = { baseUrl: url, account, access_token: token };
  await command(bin("newman"), [
    "run", file, "--color", "off", "--reporters", "cli,json", "--reporter-json-export", report,
    ...Object.entries(variables).flatMap(([key, value]) => ["--env-var", `${key}=${value}`]),
  ]);
  const { requests: sent, assertions } = JSON.parse(await readFile(report, "utf8")).run.stats;
  assert.equal(sent.total, story.length);
  assert(assertions.total > 2 * story.length && assertions.failed === 0);
  return `${sent.total} requests, ${assertions.total} assertions`;
}
