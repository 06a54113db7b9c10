// The types that openapi-typescript writes, with the client that goes with them, openapi-fetch.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";

import { awkwardID as card_id, sandbox, step } from "../steps.js";
import type { components, paths } from "./generated/schema.js";

const { url, account, token } = sandbox();
const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } });
const aid = { aid: account };

// Prism names here what it finds at fault in a request or an answer.
client.use({
  onResponse({ response }) {
    assert.equal(response.headers.get("sl-violations"), null);
  },
});

const card = await step("create", async () => {
  const { data, error, response } = await client.POST("/accounts/{aid}/wallets/cards", {
    params: { path: aid },
    body: { card_id, amount: 10_000, currency: "NOK", customer_id: card_id, metadata: { order: { lines: [1, 2] } } },
  });
  assert(data, error?.error.message);
  assert.equal(response.status, 200);
  assert.equal(data.amount_available, 10_000);
  assert.equal(data.card_id, card_id);
  assert.deepEqual(data.metadata, { order: { lines: [1, 2] } });
  return data;
});

const value = await step("token", async () => {
  const { data, error } = await client.POST("/accounts/{aid}/wallets/cards/{card_id}/tokens", {
    params: { path: { ...aid, card_id } },
    body: { ref_id: "token", expires_in: 3600, expires_after_transaction: false, format: { length: 12, numbers: true } },
  });
  assert(data?.token?.value, error?.error.message);
  return data.token.value;
});

await step("info", async () => {
  const { data, error } = await client.POST("/accounts/{aid}/wallets/info", { params: { path: aid }, body: { token: value } });
  assert(data, error?.error.message);
  assert.equal(data.id, card.id);
  assert.equal(data.status, "unused");
});

const hold = await step("pending", async () => {
  const request = {
    params: { path: aid },
    body: { ref_id: "hold", token: value, amount: 1000, currency: "NOK", pending: true },
  } as const;
  const { data, error } = await client.POST("/accounts/{aid}/wallets/transactions", request);
  assert(data, error?.error.message);
  assert.equal(data.type, "pending_capture");
  const again = await client.POST("/accounts/{aid}/wallets/transactions", request);
  assert.equal(again.data?.id, data.id);
  assert.equal(again.response.headers.get("idempotency-replayed"), "true");
  return data;
});
const path = { ...aid, transaction_id: hold.id };

await step("capture", async () => {
  const { data, error } = await client.POST("/accounts/{aid}/wallets/transactions/{transaction_id}/capture", {
    params: { path },
    body: { ref_id: "part", amount: 300 },
  });
  assert(data, error?.error.message);
  assert.deepEqual([data.type, data.amount, data.parent_id], ["drawdown", 300, hold.id]);
});

await step("void", async () => {
  const { data, error } = await client.POST("/accounts/{aid}/wallets/transactions/{transaction_id}/void", {
    params: { path },
    body: { ref_id: "rest" },
  });
  assert(data, error?.error.message);
  assert.deepEqual([data.type, data.amount], ["voided", 700]);
});

await step("list", async () => {
  const cards = await client.GET("/accounts/{aid}/wallets/cards", {
    params: {
      path: aid,
      query: { search: card_id, currency: ["SEK", "NOK"], "amount_balance.gte": 9700, "created_at.gte": "2020-01-01", limit: 1 },
    },
  });
  assert.deepEqual(cards.data?.cards.map(({ id }) => id), [card.id]);
  const mine = await client.GET("/accounts/{aid}/wallets/customers/{customer_id}/cards", {
    params: { path: { ...aid, customer_id: card_id } },
  });
  assert.equal(mine.data?.[0]?.status, "partially_used");
  const history = await client.GET("/accounts/{aid}/wallets/cards/{card_id}/transactions", {
    params: { path: { ...aid, card_id } },
  });
  assert.deepEqual(history.data?.map(({ type }) => type), ["fund", "pending_capture", "drawdown", "voided"]);
});

await step("delete", async () => {
  const of = { params: { path: { ...aid, card_id } } };
  const deleted = await client.DELETE("/accounts/{aid}/wallets/cards/{card_id}", of);
  assert.equal(typeof deleted.data?.deleted_at, "string");
  const { error } = await client.GET("/accounts/{aid}/wallets/cards/{card_id}", of);
  const code: components["schemas"]["ErrorCode"] | undefined = error?.error.code;
  assert.equal(code, "not_found");
});
