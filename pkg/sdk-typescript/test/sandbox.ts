// The server of the tests, `kort sandbox`, whose first line of output stands in KORT_SANDBOX; and a bad line to it.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after } from "node:test";

import { Kort } from "../src/index.js";
import type { KortOptions } from "../src/index.js";

const { url } = JSON.parse(process.env["KORT_SANDBOX"] ?? "{}") as { url?: string };
assert(url, "KORT_SANDBOX must be the line that kort sandbox prints");

/** What happens to a request: the answer, in the server's place or made of the server's own. */
export type Mishap = (response: ServerResponse, forward: () => Promise<Response>) => Promise<void> | void;

/** passed lets a request through. */
export const passed: Mishap = async (response, forward) => {
  const answer = await forward();
  response.writeHead(answer.status, [...answer.headers].filter(([name]) => name !== "content-length").flat());
  response.end(await answer.text());
};

/** answered keeps a request from the server. A code makes it an answer of the API. */
export const answered = (status: number, code?: string, retryAfter?: string): Mishap => (response) => {
  response.writeHead(status, retryAfter === undefined ? {} : { "retry-after": retryAfter });
  response.end(code ? JSON.stringify({ error: { code, message: "Not now." } }) : "<html>nobody here</html>");
};

/** lost lets the server do its work and loses the answer. */
export const lost: Mishap = async (response, forward) => {
  await (await forward()).text();
  response.destroy();
};

/** cut loses the end of the answer. */
export const cut: Mishap = async (response, forward) => {
  const body = await (await forward()).text();
  response.writeHead(200, { "content-length": String(body.length) });
  response.write(body.slice(0, body.length / 2), () => response.destroy());
};

/** disowned does the work and says that it could not be done in time. */
export const disowned: Mishap = async (response, forward) => {
  await (await forward()).text();
  await answered(503, "overloaded")(response, forward);
};

/** A line to the sandbox on which things happen to requests. */
export class Line {
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  #mishaps: Mishap[] = [];
  #endless = false;
  /** How many requests have come since the mishaps were said. */
  requests = 0;
  url = "";

  static async open(): Promise<Line> {
    const line = new Line();
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    line.url = `http://127.0.0.1:${(line.#server.address() as AddressInfo).port}`;
    after(() => {
      line.#server.closeAllConnections();
      line.#server.close();
    });
    return line;
  }

  /** meets says what happens to the next requests. */
  meets(...mishaps: Mishap[]): void {
    this.#mishaps = mishaps;
    this.#endless = false;
    this.requests = 0;
  }

  /** meetsAgainAndAgain says what happens to all requests from now on. */
  meetsAgainAndAgain(...mishaps: Mishap[]): void {
    this.meets(...mishaps);
    this.#endless = true;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    const mishap = this.#mishaps.shift() ?? passed;
    if (this.#endless) {
      this.#mishaps.push(mishap);
    }
    const body = await text(request);
    const headers: Record<string, string> = {};
    for (const name of ["authorization", "content-type"]) {
      const value = request.headers[name];
      if (typeof value === "string") {
        headers[name] = value;
      }
    }
    await mishap(response, () => fetch(`${url}${request.url}`, {
      method: request.method ?? "GET", headers, body: body === "" ? null : body,
    }));
  }
}

/** newClient makes a client with an account of its own, on a line of its own. */
export async function newClient(options: Partial<KortOptions> = {}): Promise<{ kort: Kort; line: Line; config: KortOptions }> {
  const line = await Line.open();
  const response = await fetch(`${url}/sandbox/v1/accounts`, { method: "POST" });
  const { account, token } = await response.json() as { account: string; token: string };
  const config = { url: `${line.url}/`, account, token, ...options };
  return { kort: new Kort(config), line, config };
}
