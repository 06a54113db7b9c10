import assert from "node:assert/strict";
import { test } from "node:test";

import { isKortError, Kort, KortError, NoAnswerError } from "../src/index.js";
import type { components, ErrorCode } from "../src/index.js";
import { answered, cut, disowned, lost, newClient, passed } from "./sandbox.js";
import type { Mishap } from "./sandbox.js";

const card = (card_id: string): components["schemas"]["CardCreate"] =>
  ({ card_id, amount: 10_000, currency: "NOK", customer_id: "anna & co/1" });
const sale = (card_id: string, amount: number) => ({ card_id, amount, currency: "NOK" }) as const;

test("a card from its creation to its deletion, with every call that there is", async () => {
  const { kort } = await newClient();
  const id = "a card/with 100% + å?&=#";
  const created = await kort.createCard(card(id));
  assert.equal(created.card_id, id);
  const { token } = await kort.createToken(id, { expires_in: 60, expires_after_transaction: false });
  assert(token);
  assert.equal((await kort.cardByToken({ token: token.value })).id, created.id);
  assert.match((await kort.rotatePin(id)).pin.pin.value, /^[0-9]{6}$/);
  const hold = await kort.transact({ token: token.value, amount: 1000, currency: "NOK", pending: true });
  const taken = await kort.capture(hold.id, { amount: 300 });
  const released = await kort.void(hold.id, { ref_id: "chosen" });
  assert.deepEqual([taken.amount, released.amount, released.ref_id], [300, 700, "chosen"]);
  assert.match(taken.ref_id, /^[0-9a-f-]{36}$/);
  assert.notEqual(taken.ref_id, hold.ref_id);
  assert.equal((await kort.transactions(id)).length, 4);
  assert.equal((await kort.customerCard("anna & co/1", id)).amount_balance, 9700);
  const batch = await kort.createBatch({ cards: [{ card_id: "b" }, { card_id: "a" }] });
  assert.deepEqual(batch.map(({ card_id }) => card_id), ["b", "a"]);
  assert.equal((await kort.activateCard("a", { amount: 5, currency: "SEK" })).amount_balance, 5);
  const found = [];
  for await (const { card_id } of kort.cards({ currency: ["SEK", "NOK"], "amount_balance.gte": 1 })) {
    found.push(card_id);
  }
  assert.deepEqual(found, ["a", id]);
  assert((await kort.deleteCard(id)).deleted_at);
  await assert.rejects(kort.card(id), (error) => isKortError(error, "not_found"));
  assert.equal((await kort.card("b")).status, "inactive");
});

test("whatever happens to requests and answers, each call is in the books once", async () => {
  const { kort, line } = await newClient({ maxTries: 100, maxWait: 0.02 });
  await kort.createCard(card("busy"));
  line.meetsAgainAndAgain(
    lost, passed, answered(503, "overloaded"), cut, passed, answered(429, "rate_limited"), disowned, answered(502),
    passed, lost, lost, passed, passed,
  );
  const tills = 4, sales = 5;
  await Promise.all(Array.from({ length: tills }, async () => {
    for (let i = 0; i < sales; i++) {
      const hold = await kort.transact({ ...sale("busy", 100), pending: true });
      await kort.capture(hold.id, { amount: 60 });
      await kort.void(hold.id);
    }
  }));
  assert(line.requests > tills * sales * 3);
  line.meets();
  const { amount_balance, amount_reserved } = await kort.card("busy");
  assert.deepEqual([amount_balance, amount_reserved], [10_000 - tills * sales * 60, 0]);
  assert.equal((await kort.transactions("busy")).length, 1 + tills * sales * 3);
});

test("what is repeated, and what is not", async () => {
  const { kort, line } = await newClient();
  await kort.createCard(card("a"));
  const cases: Record<string, [Mishap, requests: number, well: boolean]> = {
    "nothing": [passed, 1, true],
    "no answer": [lost, 2, true],
    "half an answer": [cut, 2, true],
    "overloaded": [answered(503, "overloaded"), 2, true],
    "broken": [answered(500, "internal"), 2, true],
    "a proxy": [answered(502), 2, true],
    "a slow proxy": [answered(504), 2, true],
    "too many requests": [answered(429, "rate_limited"), 2, true],
    "nonsense for a wait": [answered(503, "overloaded", "soon"), 2, true],
    "a locked PIN": [answered(429, "pin_locked", "900"), 1, false],
    "a shortly locked PIN": [answered(429, "pin_locked", "1"), 1, false],
    "a long wait": [answered(503, "overloaded", "31"), 1, false],
    "a refusal": [answered(409, "card_expired"), 1, false],
    "no access": [answered(401, "unauthorized"), 1, false],
    "a redirect": [answered(307), 1, false],
  };
  for (const [name, [mishap, requests, well]] of Object.entries(cases)) {
    line.meets(mishap);
    const [result] = await Promise.allSettled([kort.transact(sale("a", 1))]);
    assert.deepEqual([line.requests, result.status === "fulfilled"], [requests, well], name);
  }
});

test("tries come to an end, and the ref_id is told", async () => {
  const { kort, line } = await newClient({ maxTries: 3 });
  await kort.createCard(card("a"));
  const busy = answered(503, "overloaded");
  line.meets(busy, busy, busy);
  await assert.rejects(kort.transact(sale("a", 1)), (error) =>
    isKortError(error, "overloaded") && error.status === 503 && error.refId !== undefined);
  assert.equal(line.requests, 3);
  line.meets(lost, lost, lost);
  const error: unknown = await kort.transact(sale("a", 1)).catch((error: unknown) => error);
  assert(error instanceof NoAnswerError && error.sent && error.refId && line.requests === 3);
  await kort.transact({ ...sale("a", 1), ref_id: error.refId });
  assert.equal((await kort.transactions("a")).length, 2); // the busy ones never came that far
});

test("Retry-After is honoured, unless the caller gives up", async () => {
  const { kort, line } = await newClient();
  await kort.createCard(card("a"));
  line.meets(answered(503, "overloaded", "1"));
  let begin = performance.now();
  await kort.transact(sale("a", 1));
  let waited = performance.now() - begin;
  assert(waited >= 1000 && waited < 10_000, `waited ${waited} ms`);
  line.meets(answered(503, "overloaded", "20"));
  begin = performance.now();
  await assert.rejects(kort.card("a", { signal: AbortSignal.timeout(50) }), (error) =>
    error instanceof NoAnswerError && error.cause instanceof DOMException && error.cause.name === "TimeoutError");
  waited = performance.now() - begin;
  assert(waited < 10_000 && line.requests === 1, `waited ${waited} ms`);
});

test("a try that takes too long is given up, and repeated", async () => {
  const { kort, line } = await newClient({ timeout: 0.2 });
  await kort.createCard(card("a"));
  line.meets(() => {}); // which never answers
  assert.equal((await kort.card("a")).card_id, "a");
  assert.equal(line.requests, 2);
});

test("the refusal of a second try says that it may be the doing of the first", async () => {
  const { kort, line } = await newClient();
  const rejects = (promise: Promise<unknown>, code: ErrorCode, uncertain: boolean) =>
    assert.rejects(promise, (error) => isKortError(error, code) && error.uncertain === uncertain);
  for (const [i, mishap] of [lost, cut, disowned].entries()) {
    line.meets(mishap);
    await rejects(kort.createCard(card(`card${i}`)), "card_exists", true);
    await rejects(kort.createCard(card(`card${i}`)), "card_exists", false);
    line.meets(mishap);
    await rejects(kort.deleteCard(`card${i}`), "not_found", true);
  }
  await kort.createCard(card("a"));
  line.meets(answered(429, "rate_limited")); // which is before anything is done
  await rejects(kort.createCard(card("a")), "card_exists", false);
});

test("errors say what there is to say", async () => {
  const { kort, line, config } = await newClient();
  const created = await kort.createCard(card("a"));
  await assert.rejects(kort.createCard(card("a")), (error) => {
    assert(error instanceof KortError && isKortError(error) && !isKortError(error, "not_found"));
    assert.deepEqual([error.status, error.code, error.items[0]?.existing_id], [409, "card_exists", created.id]);
    assert(error.requestId && error.message.includes("card_exists"));
    return true;
  });
  await kort.transact({ ...sale("a", 5), ref_id: "mine" });
  await assert.rejects(kort.transact({ ...sale("a", 6), ref_id: "mine" }), (error) => isKortError(error, "ref_id_conflict"));
  await assert.rejects(kort.transact(sale("a", 1_000_000)), (error) => isKortError(error, "insufficient_funds"));
  await assert.rejects(new Kort({ ...config, token: "none" }).card("a"), (error) => isKortError(error, "unauthorized"));
  line.meets(answered(404));
  await assert.rejects(kort.card("a"), (error) =>
    error instanceof KortError && !isKortError(error) && error.code === undefined && !error.message.includes("html"));
  line.meets();
  const away = new Error("the issuer is away");
  await assert.rejects(new Kort({ ...config, token: () => Promise.reject(away) }).card("a"), (error) =>
    error instanceof NoAnswerError && error.cause === away && !error.sent);
  assert.equal(line.requests, 0);
});

test("pages come one by one, and no card is missing or comes twice", async () => {
  const { kort, line } = await newClient();
  const want = Array.from({ length: 205 }, (_, i) => `card${i}`);
  for (const id of want) {
    await kort.createCard(card(id));
  }
  want.reverse(); // the newest first
  const walked = async (walk: AsyncIterable<{ card_id: string }>) => {
    const ids = [];
    for await (const { card_id } of walk) {
      ids.push(card_id);
    }
    return ids;
  };
  line.meets(passed, lost);
  assert.deepEqual(await walked(kort.cards()), want);
  assert.equal(line.requests, 4);
  assert.deepEqual(await walked(kort.customerCards("anna & co/1")), want);
  assert.deepEqual(await walked(kort.cards({ search: "card20", limit: 2 })),
    ["card204", "card203", "card202", "card201", "card200", "card20"]);
  line.meets();
  for await (const _ of kort.cards()) {
    break; // and not read ahead
  }
  assert.equal(line.requests, 1);
  await assert.rejects(walked(kort.cards({ starting_after: "unknown" })), (error) => isKortError(error, "invalid_request"));
});

test("options that make no sense are refused", () => {
  const good = { url: "https://cards.example.com", account: "T12345678", token: "t" };
  new Kort(good);
  for (const wrong of [
    { url: "" }, { url: "ftp://cards.example.com" }, { url: "https://cards.example.com?a=b" }, { account: "" },
    { account: "X12345678" }, { maxTries: 0 }, { maxTries: NaN }, { maxWait: 0 }, { timeout: -1 },
  ]) {
    assert.throws(() => new Kort({ ...good, ...wrong }), TypeError, JSON.stringify(wrong));
  }
});
