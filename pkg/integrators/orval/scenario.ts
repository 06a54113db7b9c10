// The client that orval writes, on fetch.

import assert from "node:assert/strict";

import { awkwardID as card_id, sandbox, step } from "../steps.js";
import * as kort from "./generated/kort.js";

const { account } = sandbox();

/** ok narrows an answer to the one that the contract has for success. */
function ok<A extends { status: number; data: unknown }>(answer: A): Extract<A, { status: 200 }>["data"] {
  assert.equal(answer.status, 200, JSON.stringify(answer.data));
  return (answer as Extract<A, { status: 200 }>).data;
}

const card = await step("create", async () => {
  const data = ok(await kort.aidCardsPost(account, {
    card_id, amount: 10_000, currency: "NOK", customer_id: card_id, metadata: { order: { lines: [1, 2] } },
  }));
  assert.equal(data.amount_available, 10_000);
  assert.equal(data.card_id, card_id);
  assert.deepEqual(data.metadata, { order: { lines: [1, 2] } });
  return data;
});

const value = await step("token", async () => {
  const data = ok(await kort.aidCardsCardidTokenPost(account, card_id, {
    ref_id: "token", expires_in: 3600, expires_after_transaction: false, format: { length: 12, numbers: true },
  }));
  assert(data.token?.value);
  return data.token.value;
});

await step("info", async () => {
  const data = ok(await kort.aidCardsTokenPost(account, { token: value }));
  assert.equal(data.id, card.id);
  assert.equal(data.status, "unused");
});

const hold = await step("pending", async () => {
  const body: kort.TransactionCreate = { ref_id: "hold", token: value, amount: 1000, currency: "NOK", pending: true };
  const data = ok(await kort.aidCardsTransactionsPost(account, body));
  assert.equal(data.type, kort.TransactionType.pending_capture);
  const again = await kort.aidCardsTransactionsPost(account, body);
  assert.equal(ok(again).id, data.id);
  assert.equal(again.headers.get("idempotency-replayed"), "true");
  return data;
});

await step("capture", async () => {
  const data = ok(await kort.aidCardsCardidTransactionsCapturePost(account, hold.id, { ref_id: "part", amount: 300 }));
  assert.deepEqual([data.type, data.amount, data.parent_id], ["drawdown", 300, hold.id]);
});

await step("void", async () => {
  const data = ok(await kort.aidCardsCardidTransactionsVoidPost(account, hold.id, { ref_id: "rest" }));
  assert.deepEqual([data.type, data.amount], ["voided", 700]);
});

await step("list", async () => {
  const { cards } = ok(await kort.aidCardsGet(account, {
    search: card_id, currency: ["SEK", "NOK"], "amount_balance.gte": 9700, "created_at.gte": "2020-01-01", limit: 1,
  }));
  assert.deepEqual(cards.map(({ id }) => id), [card.id]);
  const mine = ok(await kort.aidCustomersCidCardsGet(account, card_id));
  assert.equal(mine[0]?.status, "partially_used");
  const history = ok(await kort.aidCardsCardidTransactionsTidGet(account, card_id));
  assert.deepEqual(history.map(({ type }) => type), ["fund", "pending_capture", "drawdown", "voided"]);
});

await step("delete", async () => {
  const deleted = ok(await kort.aidCardsCardidDelete(account, card_id));
  assert.equal(typeof deleted.deleted_at, "string");
  const missing = await kort.aidCardsCardidGet(account, card_id);
  assert(missing.status === 404);
  const code: kort.ErrorCode = missing.data.error.code;
  assert.equal(code, kort.ErrorCode.not_found);
});
