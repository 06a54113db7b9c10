// How the generated client sends a request: to the sandbox, with its token. orval leaves that to its user.

import { sandbox } from "../steps.js";

const { url, token } = sandbox();

export async function send<T>(path: string, init: RequestInit): Promise<T> {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${token}`);
  const response = await fetch(`${url}${path}`, { ...init, headers });
  return { data: await response.json(), status: response.status, headers: response.headers } as T;
}
