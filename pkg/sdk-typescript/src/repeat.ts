import { KortError, NoAnswerError } from "./errors.js";
import type { ErrorCode, ErrorItem } from "./errors.js";

/** The longest wait before the second try where the server asks for none, in seconds; it doubles with each try. */
const firstWait = 0.2;

/** By how much of it a wait that the server asks for is drawn out, so that not all come back at once. */
const spread = 0.25;

/** How requests are sent and repeated. */
export interface Sender {
  fetch: typeof fetch;
  token: () => string | Promise<string>;
  maxTries: number;
  /** In seconds. */
  maxWait: number;
  /** Of one try, in seconds. */
  timeout: number;
}

/** One request, ready to be sent as often as need be. */
export interface Request {
  method: string;
  url: string;
  body: string | undefined;
  refId: string | undefined;
  signal: AbortSignal | undefined;
}

interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

/** send sends a request until it has an answer that counts, and returns what a success holds. */
export async function send<T>(sender: Sender, request: Request): Promise<T> {
  let sent = false, uncertain = false;
  for (let tries = 1; ; tries++) {
    let answer: Answer | undefined, cause: unknown;
    try {
      const token = await tokenOf(sender);
      sent = true;
      answer = await once(sender, request, token);
    } catch (error) {
      if (error instanceof TokenError || request.signal?.aborted) {
        throw new NoAnswerError(request.refId, sent, error instanceof TokenError ? error.cause : error);
      }
      cause = error;
    }
    if (answer?.status === 200) {
      return successOf<T>(answer, request);
    }
    const wait = tries < sender.maxTries ? waitBefore(sender, answer, tries) : undefined;
    if (wait === undefined) {
      throw answer ? errorOf(answer, request, uncertain) : new NoAnswerError(request.refId, true, cause);
    }
    uncertain ||= answer === undefined || answer.status >= 500;
    await pause(wait, request);
  }
}

class TokenError extends Error {}

async function tokenOf(sender: Sender): Promise<string> {
  try {
    return await sender.token();
  } catch (cause) {
    throw new TokenError("no token", { cause });
  }
}

/** once sends a request and reads the whole answer: one that is cut off is as good as none. */
async function once(sender: Sender, request: Request, token: string): Promise<Answer> {
  const signals = [AbortSignal.timeout(sender.timeout * 1000), ...(request.signal ? [request.signal] : [])];
  const headers: Record<string, string> = { accept: "application/json", authorization: `Bearer ${token}` };
  if (request.body !== undefined) {
    headers["content-type"] = "application/json";
  }
  const response = await sender.fetch(request.url, {
    method: request.method, headers, body: request.body ?? null, redirect: "manual", signal: AbortSignal.any(signals),
  });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

function successOf<T>(answer: Answer, request: Request): T {
  try {
    return JSON.parse(answer.text) as T;
  } catch (cause) {
    throw new NoAnswerError(request.refId, true, cause);
  }
}

/**
 * waitBefore is how many seconds to wait before the next try, or undefined when there should be none. A locked PIN is not
 * waited for, since somebody has to look into that; nor is a server that wants more patience than there is.
 */
function waitBefore(sender: Sender, answer: Answer | undefined, tries: number): number | undefined {
  const wait = Math.random() * Math.min(sender.maxWait, firstWait * 2 ** (tries - 1));
  if (!answer) {
    return wait;
  }
  const again = [500, 502, 503, 504].includes(answer.status) || answer.status === 429 && detailsOf(answer).code !== "pin_locked";
  if (!again) {
    return undefined;
  }
  const asked = retryAfterOf(answer);
  if (asked === undefined) {
    return wait;
  }
  return asked <= sender.maxWait ? asked * (1 + Math.random() * spread) : undefined;
}

/** retryAfterOf is how many seconds the server asks to wait. */
function retryAfterOf(answer: Answer): number | undefined {
  const text = answer.headers.get("retry-after") ?? "";
  return /^[0-9]{1,9}$/.test(text) && Number(text) > 0 ? Number(text) : undefined;
}

/** pause waits, unless the caller gives up first. */
async function pause(seconds: number, { signal, refId }: Request): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer);
      reject(new NoAnswerError(refId, true, signal?.reason));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", giveUp);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", giveUp, { once: true });
    if (signal?.aborted) {
      giveUp();
    }
  });
}

interface ErrorDetails {
  code: ErrorCode | undefined;
  message: string;
  items: readonly ErrorItem[];
}

/** detailsOf reads an answer that is not a success. The body of a proxy's answer is anything, and then of no use. */
function detailsOf(answer: Answer): ErrorDetails {
  const nothing = { code: undefined, message: "", items: [] };
  try {
    const { error } = JSON.parse(answer.text) as { error?: { code?: ErrorCode; message?: string; errors?: ErrorItem[] } };
    return error ? { code: error.code, message: error.message ?? "", items: error.errors ?? [] } : nothing;
  } catch {
    return nothing;
  }
}

function errorOf(answer: Answer, request: Request, uncertain: boolean): KortError {
  return new KortError({
    ...detailsOf(answer), status: answer.status, refId: request.refId, uncertain,
    requestId: answer.headers.get("x-request-id") ?? undefined, retryAfter: retryAfterOf(answer),
  });
}
