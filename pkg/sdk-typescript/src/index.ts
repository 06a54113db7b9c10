/**
 * Client of the Kort Wallet / Cards API. It runs wherever there are fetch and WebCrypto: Node 20, Deno, Bun, workers,
 * browsers.
 *
 * @packageDocumentation
 */
export { Kort } from "./client.js";
export type { CallOptions, CardFilter, KortOptions, WithoutRefID } from "./client.js";
export { isKortError, KortError, NoAnswerError } from "./errors.js";
export type { ErrorCode, ErrorItem } from "./errors.js";
export type { components, operations, paths } from "./schema.js";
export { SignatureError, verifyEvent, verifyStandardWebhook } from "./webhook.js";
export type { HeaderSource } from "./webhook.js";
