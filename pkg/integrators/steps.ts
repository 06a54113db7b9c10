// What the scenarios of all generators have in common: where the server is, and how to say how far they came.

import assert from "node:assert/strict";

export interface Sandbox {
  url: string;
  account: string;
  token: string;
}

/** sandbox is the server that the scenario is for: the address of the API, an account of its own, and a token for it. */
export function sandbox(): Sandbox {
  const [url, account, token] = process.argv.slice(2);
  assert(url && account && token, "usage: scenario URL ACCOUNT TOKEN");
  return { url, account, token };
}

/** A path segment and a query value that only come through where everything is escaped that has to be. */
export const awkwardID = "a card/with 100% + å?&=#";

/** step runs a step of a scenario and says on stdout that it is done. */
export async function step<T>(name: string, work: () => Promise<T>): Promise<T> {
  const result = await work();
  console.log(JSON.stringify({ step: name }));
  return result;
}
