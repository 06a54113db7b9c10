import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import { SignatureError, verifyEvent, verifyStandardWebhook } from "../src/index.js";

const body = `{"event":"wallet_transaction","name":"ø"}`;

test("signatures of events", async () => {
  const signature = createHmac("sha1", "secret").update(body).digest("hex");
  const headers = { "event-signature": signature };
  await verifyEvent("secret", headers, body);
  await verifyEvent("secret", headers, new TextEncoder().encode(body));
  await verifyEvent("secret", new Headers(headers), body);
  await verifyEvent("secret", { "event-signature": signature.toUpperCase() }, body);
  for (const [secret, forged, content] of [
    ["secret", signature, `${body} `], ["secret2", signature, body], ["secret", undefined, body], ["secret", "", body],
    ["secret", signature.slice(0, 20), body], ["secret", `${signature}00`, body], ["secret", "zz".repeat(20), body],
    ["secret", [signature, signature], body],
  ] as const) {
    await assert.rejects(verifyEvent(secret, { "event-signature": forged as string }, content), SignatureError);
  }
  await assert.rejects(verifyEvent("", headers, body), TypeError);
});

test("Standard Webhooks", async () => {
  const key = Buffer.from("0123456789abcdef0123456789abcdef"), secret = key.toString("base64");
  const signed = (offset = 0, change = {}) => {
    const time = String(Math.floor(Date.now() / 1000) + offset);
    const signature = createHmac("sha256", key).update(`msg_1.${time}.${body}`).digest("base64");
    return { "webhook-id": "msg_1", "webhook-timestamp": time, "webhook-signature": `v1,${signature}`, ...change };
  };
  await verifyStandardWebhook(secret, signed(), body);
  await verifyStandardWebhook(`whsec_${secret}`, new Headers(signed()), new TextEncoder().encode(body));
  await verifyStandardWebhook(secret, signed(-240), body);
  const two = signed();
  two["webhook-signature"] = `v1,${Buffer.alloc(32).toString("base64")} ${two["webhook-signature"]}`;
  await verifyStandardWebhook(secret, two, body);
  const other = signed();
  other["webhook-signature"] = other["webhook-signature"].replace("v1", "v2");
  for (const headers of [
    signed(-360), signed(360), other, signed(0, { "webhook-id": undefined }), signed(0, { "webhook-id": "msg_2" }),
    signed(0, { "webhook-timestamp": undefined }), signed(0, { "webhook-timestamp": "soon" }),
    signed(0, { "webhook-signature": undefined }), signed(0, { "webhook-signature": "v1," }),
    signed(0, { "webhook-signature": "v1,!!!" }),
  ]) {
    await assert.rejects(verifyStandardWebhook(secret, headers, body), SignatureError);
  }
  await assert.rejects(verifyStandardWebhook(secret, signed(), `${body} `), SignatureError);
  await assert.rejects(verifyStandardWebhook(Buffer.from("x").toString("base64"), signed(), body), SignatureError);
  for (const wrong of ["", "whsec_", "not base64!"]) {
    await assert.rejects(verifyStandardWebhook(wrong, signed(), body), TypeError);
  }
});
