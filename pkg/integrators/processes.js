// Commands that end, and servers that go on until they are stopped.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** here is the directory of this project, root that of the repository. */
export const here = fileURLToPath(new URL(".", import.meta.url));
export const root = fileURLToPath(new URL("../../", import.meta.url));

/** How long a command may take, in milliseconds. */
const timeout = 5 * 60_000;

/** bin is a program that npm has installed. */
export const bin = (name) => `${here}node_modules/.bin/${name}`;

/** command runs a command to its end. It returns what it wrote to stdout, and throws what it wrote when it failed. */
export async function command(program, args, { cwd = here, env = process.env, seen = () => {} } = {}) {
  const child = spawn(program, args, { cwd, env, timeout, stdio: ["ignore", "pipe", "pipe"] });
  let stdout = "", all = "";
  child.stdout.on("data", (chunk) => { stdout += chunk; all += chunk; });
  child.stderr.on("data", (chunk) => { all += chunk; });
  createInterface({ input: child.stdout }).on("line", seen);
  const [code, signal] = await once(child, "close");
  if (code !== 0) {
    throw new Error(`${program} ${args[0] ?? ""} … ended with ${signal ?? code}:\n${all}`);
  }
  return stdout;
}

const running = new Set();

/** server starts a program that goes on, and resolves with the first line of stdout that `ready` accepts. */
export async function server(program, args, ready) {
  const child = spawn(program, args, { cwd: here, stdio: ["ignore", "pipe", "inherit"] });
  running.add(child);
  child.on("close", (code, signal) => {
    if (running.delete(child)) {
      console.error(`${program} ${args[0]} ended by itself: ${signal ?? code}`);
    }
  });
  const signal = AbortSignal.timeout(60_000);
  for await (const line of createInterface({ input: child.stdout, signal })) {
    if (ready(line)) {
      child.stdout.resume(); // or it would wait for a reader
      return line;
    }
  }
  throw new Error(`${program} ${args[0]} ended, or was not ready in time`);
}

/** stopServers ends all servers. */
export async function stopServers() {
  const children = [...running];
  running.clear();
  await Promise.all(children.map(async (child) => {
    const closed = once(child, "close");
    child.kill();
    await closed;
  }));
}

/** freePort finds a port that nobody listens on. */
export async function freePort() {
  const { createServer } = await import("node:net");
  const listener = createServer().listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address();
  listener.close();
  await once(listener, "close");
  return port;
}
