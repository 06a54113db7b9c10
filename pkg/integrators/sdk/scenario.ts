// The SDK of this repository, as whoever installs it has it.

import assert from "node:assert/strict";

import { isKortError, Kort } from "@kortwallet/sdk";

import { awkwardID as card_id, sandbox, step } from "../steps.js";

const { url, account, token } = sandbox();
const kort = new Kort({ url: url.replace(/\/v1$/, ""), account, token });

const card = await step("create", async () => {
  const card = await kort.createCard({
    card_id, amount: 10_000, currency: "NOK", customer_id: card_id, metadata: { order: { lines: [1, 2] } },
  });
  assert.equal(card.amount_available, 10_000);
  assert.equal(card.card_id, card_id);
  assert.deepEqual(card.metadata, { order: { lines: [1, 2] } });
  return card;
});

const value = await step("token", async () => {
  const made = await kort.createToken(card_id, {
    expires_in: 3600, expires_after_transaction: false, format: { length: 12, numbers: true },
  });
  assert(made.token);
  return made.token.value;
});

await step("info", async () => {
  const found = await kort.cardByToken({ token: value });
  assert.deepEqual([found.id, found.status], [card.id, "unused"]);
});

const hold = await step("pending", async () => {
  const hold = await kort.transact({ token: value, amount: 1000, currency: "NOK", pending: true });
  assert.equal(hold.type, "pending_capture");
  const { ref_id } = hold;
  const again = await kort.transact({ ref_id, token: value, amount: 1000, currency: "NOK", pending: true });
  assert.equal(again.id, hold.id);
  return hold;
});

await step("capture", async () => {
  const { type, amount, parent_id } = await kort.capture(hold.id, { amount: 300 });
  assert.deepEqual([type, amount, parent_id], ["drawdown", 300, hold.id]);
});

await step("void", async () => {
  const { type, amount } = await kort.void(hold.id);
  assert.deepEqual([type, amount], ["voided", 700]);
});

await step("list", async () => {
  const found = [];
  for await (const { id } of kort.cards({ search: card_id, currency: ["SEK", "NOK"], "created_at.gte": "2020-01-01" })) {
    found.push(id);
  }
  assert.deepEqual(found, [card.id]);
  for await (const { status } of kort.customerCards(card_id)) {
    assert.equal(status, "partially_used");
  }
  const history = await kort.transactions(card_id);
  assert.deepEqual(history.map(({ type }) => type), ["fund", "pending_capture", "drawdown", "voided"]);
});

await step("delete", async () => {
  assert((await kort.deleteCard(card_id)).deleted_at);
  await assert.rejects(kort.card(card_id), (error) => isKortError(error, "not_found"));
});
