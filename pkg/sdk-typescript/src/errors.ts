import type { components } from "./schema.js";

/** What went wrong, for programs. The contract explains each code. */
export type ErrorCode = components["schemas"]["ErrorCode"];

/** One place where it went wrong. */
export type ErrorItem = components["schemas"]["ErrorItem"];

interface Details {
  code: ErrorCode | undefined;
  status: number;
  message: string;
  items: readonly ErrorItem[];
  requestId: string | undefined;
  retryAfter: number | undefined;
  refId: string | undefined;
  uncertain: boolean;
}

/** An answer that is not a success. Its message holds nothing that was sent. */
export class KortError extends Error {
  override readonly name = "KortError";
  /** Undefined where the answer is not the API's, but that of a proxy, say. */
  readonly code: ErrorCode | undefined;
  /** The status of HTTP. */
  readonly status: number;
  /** Where it went wrong, when there is more to say. */
  readonly items: readonly ErrorItem[];
  /** Names the request in the log of the server. */
  readonly requestId: string | undefined;
  /** How many seconds the server asks to wait. */
  readonly retryAfter: number | undefined;
  /** The ref_id of the call, where it has one. A refusal uses up none: mend the call and repeat it under the same. */
  readonly refId: string | undefined;
  /**
   * Whether an earlier try of this call had no answer, or one that leaves open whether it was done. Then `card_exists`,
   * `card_already_active` and `not_found` may be the doing of the call itself.
   */
  readonly uncertain: boolean;

  constructor(details: Details) {
    super(details.code ? `kort: ${details.code}: ${details.message}` : `kort: status ${details.status}`);
    this.code = details.code;
    this.status = details.status;
    this.items = details.items;
    this.requestId = details.requestId;
    this.retryAfter = details.retryAfter;
    this.refId = details.refId;
    this.uncertain = details.uncertain;
  }
}

/** A call has no answer, after all tries. `cause` says why. */
export class NoAnswerError extends Error {
  override readonly name = "NoAnswerError";

  constructor(
    /** The ref_id of the call, where it has one: repeat the call under it to learn what became of it. */
    readonly refId: string | undefined,
    /** Whether the request may have reached the server and been done. */
    readonly sent: boolean,
    cause: unknown,
  ) {
    super(`kort: no answer: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
}

/** Tells whether an error is an answer of the API with this code, or with any. */
export function isKortError<C extends ErrorCode = ErrorCode>(
  error: unknown, code?: C,
): error is KortError & { readonly code: C } {
  return error instanceof KortError && error.code !== undefined && (code === undefined || error.code === code);
}
