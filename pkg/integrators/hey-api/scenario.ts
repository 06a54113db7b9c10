// The client that @hey-api/openapi-ts writes.

import assert from "node:assert/strict";

import { awkwardID as card_id, sandbox, step } from "../steps.js";
import { createClient } from "./generated/client/index.js";
import {
  aidCardsCardidDelete, aidCardsCardidGet, aidCardsCardidTokenPost, aidCardsCardidTransactionsCapturePost,
  aidCardsCardidTransactionsTidGet, aidCardsCardidTransactionsVoidPost, aidCardsGet, aidCardsPost, aidCardsTokenPost,
  aidCardsTransactionsPost, aidCustomersCidCardsGet,
} from "./generated/index.js";
import type { ErrorCode } from "./generated/index.js";

const { url, account, token } = sandbox();
const client = createClient({ baseUrl: url, auth: () => token });
const aid = { aid: account };

const card = await step("create", async () => {
  const { data, error } = await aidCardsPost({
    client, path: aid,
    body: { card_id, amount: 10_000, currency: "NOK", customer_id: card_id, metadata: { order: { lines: [1, 2] } } },
  });
  assert(data, error?.error.message);
  assert.equal(data.amount_available, 10_000);
  assert.equal(data.card_id, card_id);
  assert.deepEqual(data.metadata, { order: { lines: [1, 2] } });
  return data;
});

const value = await step("token", async () => {
  const { data, error } = await aidCardsCardidTokenPost({
    client, path: { ...aid, card_id },
    body: { ref_id: "token", expires_in: 3600, expires_after_transaction: false, format: { length: 12, numbers: true } },
  });
  assert(data?.token?.value, error?.error.message);
  return data.token.value;
});

await step("info", async () => {
  const { data, error } = await aidCardsTokenPost({ client, path: aid, body: { token: value } });
  assert(data, error?.error.message);
  assert.equal(data.id, card.id);
  assert.equal(data.status, "unused");
});

const hold = await step("pending", async () => {
  const request = {
    client, path: aid, body: { ref_id: "hold", token: value, amount: 1000, currency: "NOK", pending: true },
  } as const;
  const { data, error } = await aidCardsTransactionsPost(request);
  assert(data, error?.error.message);
  assert.equal(data.type, "pending_capture");
  const again = await aidCardsTransactionsPost(request);
  assert.equal(again.data?.id, data.id);
  assert.equal(again.response?.headers.get("idempotency-replayed"), "true");
  return data;
});
const path = { ...aid, transaction_id: hold.id };

await step("capture", async () => {
  const { data, error } = await aidCardsCardidTransactionsCapturePost({ client, path, body: { ref_id: "part", amount: 300 } });
  assert(data, error?.error.message);
  assert.deepEqual([data.type, data.amount, data.parent_id], ["drawdown", 300, hold.id]);
});

await step("void", async () => {
  const { data, error } = await aidCardsCardidTransactionsVoidPost({ client, path, body: { ref_id: "rest" } });
  assert(data, error?.error.message);
  assert.deepEqual([data.type, data.amount], ["voided", 700]);
});

await step("list", async () => {
  const cards = await aidCardsGet({
    client, path: aid,
    query: { search: card_id, currency: ["SEK", "NOK"], "amount_balance.gte": 9700, "created_at.gte": "2020-01-01", limit: 1 },
  });
  assert.deepEqual(cards.data?.cards.map(({ id }) => id), [card.id]);
  const mine = await aidCustomersCidCardsGet({ client, path: { ...aid, customer_id: card_id } });
  assert.equal(mine.data?.[0]?.status, "partially_used");
  const history = await aidCardsCardidTransactionsTidGet({ client, path: { ...aid, card_id } });
  assert.deepEqual(history.data?.map(({ type }) => type), ["fund", "pending_capture", "drawdown", "voided"]);
});

await step("delete", async () => {
  const of = { client, path: { ...aid, card_id } };
  const deleted = await aidCardsCardidDelete(of);
  assert.equal(typeof deleted.data?.deleted_at, "string");
  const { error } = await aidCardsCardidGet(of);
  const code: ErrorCode | undefined = error?.error.code;
  assert.equal(code, "not_found");
});
