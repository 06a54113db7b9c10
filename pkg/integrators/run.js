// Generates clients from the contract, lets each work against a running sandbox, and does the same with tools that read
// the contract. Prints a table of what went well, and ends with 1 if anything did not.
//
// Usage: node run.js --kort PROGRAM --screenshot FILE

import { resolve } from "node:path";
import { parseArgs } from "node:util";

import { runBrowser } from "./browser.js";
import { columns, rows, runRow, startPrism, testSDK } from "./matrix.js";
import { runPostman } from "./postman.js";
import { server, stopServers } from "./processes.js";

const { values: flags } = parseArgs({ options: { kort: { type: "string" }, screenshot: { type: "string" } } });
if (!flags.kort || !flags.screenshot) {
  throw new Error("usage: node run.js --kort PROGRAM --screenshot FILE");
}

const failures = [];
const report = (text) => {
  failures.push(text);
  console.error(text);
};

/** Everybody gets an account of their own. */
async function newAccount(sandbox) {
  const response = await fetch(`${sandbox.url}/sandbox/v1/accounts`, { method: "POST" });
  const { account, token } = await response.json();
  return [`${sandbox.url}/v1`, account, token];
}

/** The tools that make no client: each says what it has done. */
const tools = {
  "tests of @kortwallet/sdk": testSDK,
  "Postman and newman": async (sandbox) => runPostman(...await newAccount(sandbox)),
  "Postman through Prism": async (sandbox) => {
    const [url, ...who] = await newAccount(sandbox);
    return runPostman(await startPrism(url), ...who);
  },
  "reference in a browser": (sandbox) => runBrowser(sandbox.docs, resolve(flags.screenshot)),
};

function printTable(results, done) {
  const width = Math.max(...rows.map(({ name }) => name.length), ...Object.keys(done).map((name) => name.length));
  const line = (name, cells) => console.log([name.padEnd(width), ...cells.map((cell) => cell.padEnd(8))].join("  ").trimEnd());
  console.log();
  line("client", columns);
  for (const [name, cells] of results) {
    line(name, columns.map((column) => cells[column] ?? "-"));
  }
  console.log();
  for (const [name, result] of Object.entries(done)) {
    line(name, [result]);
  }
}

const results = [], done = {};
try {
  const line = await server(resolve(flags.kort), ["sandbox", "--addr", "127.0.0.1:0", "--log-level", "warn"], () => true);
  const sandbox = JSON.parse(line);
  for (const row of rows) {
    console.log(`--- ${row.name}`);
    results.push([row.name, await runRow(row, await newAccount(sandbox), report)]);
  }
  for (const [name, run] of Object.entries(tools)) {
    console.log(`--- ${name}`);
    try {
      done[name] = await run(sandbox);
    } catch (error) {
      done[name] = "FAILED";
      report(`${name}: ${error.message}`);
    }
  }
} finally {
  await stopServers();
}
printTable(results, done);
if (failures.length > 0) {
  process.exitCode = 1;
}
