// The rows of the matrix: how each generator makes a client, how the client's types are checked, and how its scenario
// is run. Prism stands as a row of its own: the scenario of another one, run through it.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { bin, command, freePort, here, root, server } from "./processes.js";

/** columns are what can be done with a client, in this order. */
export const columns = ["generate", "types", "create", "token", "info", "pending", "capture", "void", "list", "delete"];

const contract = `${root}openapi/kort.yaml`;

/** typescript is the row of a generator that writes TypeScript. */
const typescript = (name, directory, generate) => ({
  name, generate,
  types: () => command(bin("tsc"), ["-p", directory]),
  scenario: (args, seen) => command("node", [`build/${directory}/scenario.js`, ...args], { seen }),
});

/** generateGo generates what gen/client holds, and compares the two. */
async function generateGo() {
  const directory = await mkdtemp(join(tmpdir(), "kort-integrators-"));
  try {
    const output = join(directory, "client.gen.go"), settings = join(directory, "client.yaml");
    const written = await readFile(`${root}openapi/client.yaml`, "utf8");
    await writeFile(settings, written.replace(/^output: .*$/m, `output: ${output}`));
    const generator = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen";
    await command("go", ["run", generator, "-config", settings, contract], { cwd: root });
    assert.equal(await readFile(output, "utf8"), await readFile(`${root}gen/client/client.gen.go`, "utf8"), "gen/client is stale");
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** buildSDK builds the SDK, and looks at what would be published. */
async function buildSDK() {
  const cwd = `${root}pkg/sdk-typescript`;
  await command("npm", ["run", "build"], { cwd });
  const [{ files }] = JSON.parse(await command("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], { cwd }));
  const strangers = files.map(({ path }) => path).filter((path) => !/^(dist\/\w+\.(js|d\.ts)|package\.json|README\.md|LICENSE)$/.test(path));
  assert.deepEqual(strangers, []);
  assert(files.some(({ path }) => path === "dist/index.d.ts"));
}

/** testSDK runs the SDK's own tests against a sandbox. It returns what was done, in a few words. */
export async function testSDK(sandbox) {
  const env = { ...process.env, KORT_SANDBOX: JSON.stringify(sandbox) };
  const said = await command("npm", ["test"], { cwd: `${root}pkg/sdk-typescript`, env });
  const count = (word) => Number(said.match(new RegExp(`^# ${word} ([0-9]+)$`, "m"))?.[1]);
  assert(count("tests") > 0 && count("pass") === count("tests"), said);
  return `${count("pass")} tests`;
}

/** startPrism starts a proxy that fails whatever is not as the contract says. */
export async function startPrism(upstream) {
  const port = await freePort();
  const args = ["proxy", contract, upstream, "--errors", "--port", String(port)];
  await server(bin("prism"), args, (line) => line.includes("Prism is listening"));
  return `http://127.0.0.1:${port}`;
}

/** noticed makes sure that it looks at requests at all. */
async function noticed(proxy, account, token) {
  const response = await fetch(`${proxy}/accounts/${account}/wallets/info`, {
    method: "POST", headers: { "content-type": "application/json", authorization: `Bearer ${token}` }, body: `{"token":1}`,
  });
  assert.match(await response.text(), /stoplight.io\/prism\/errors/, "Prism lets a wrong request through");
}

export const rows = [
  {
    name: "oapi-codegen (Go)", generate: generateGo,
    types: () => command("go", ["vet", "./gen/client", "./pkg/integrators/oapi-codegen"], { cwd: root }),
    scenario: (args, seen) => command("go", ["run", "./pkg/integrators/oapi-codegen", ...args], { cwd: root, seen }),
  },
  typescript("openapi-typescript", "openapi-typescript", () =>
    command(bin("openapi-typescript"), [contract, "-o", "openapi-typescript/generated/schema.ts", "--default-non-nullable=false"])),
  typescript("@hey-api/openapi-ts", "hey-api", () =>
    command(bin("openapi-ts"), ["-i", contract, "-o", "hey-api/generated", "-c", "@hey-api/client-fetch"])),
  typescript("orval", "orval", () =>
    command(bin("orval"), ["--config", "orval.config.cjs"], { cwd: `${here}orval` })),
  typescript("@kortwallet/sdk", "sdk", buildSDK),
  {
    name: "through Prism",
    scenario: async ([url, account, token], seen) => {
      const proxy = await startPrism(url);
      await noticed(proxy, account, token);
      await command("node", ["build/openapi-typescript/scenario.js", proxy, account, token], { seen });
    },
  },
];

/** runRow does all that a row can do, and returns a word for each column. The first failure ends it. */
export async function runRow(row, args, report) {
  const cells = {};
  let next = columns.findIndex((column) => column in row || row.scenario && !["generate", "types"].includes(column));
  const done = (column) => {
    assert.equal(column, columns[next], "the steps come in another order");
    cells[column] = "ok";
    next++;
  };
  try {
    for (const column of ["generate", "types"].filter((column) => column in row)) {
      await row[column]();
      done(column);
    }
    await row.scenario(args, (line) => done(JSON.parse(line).step));
    assert.equal(next, columns.length, "steps are missing");
  } catch (error) {
    cells[columns[next] ?? columns.at(-1)] = "FAILED";
    report(`${row.name}: ${error.message}`);
  }
  return cells;
}
