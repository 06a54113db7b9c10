// The reference at /docs in a real browser: it loads without a word of complaint and from this server alone, creates a
// card by a press of its button, and has its picture taken.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

const browsers = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** runBrowser opens the address that a sandbox prints. It returns what was done, in a few words. */
export async function runBrowser(docs, screenshot) {
  const executablePath = browsers.find((path) => existsSync(path));
  assert(executablePath, `no browser: none of ${browsers.join(", ")}`);
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] }); // root may not have one
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
    const complaints = [], elsewhere = [];
    page.on("console", (message) => complaints.push(`${message.type()}: ${message.text()}`));
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== new URL(docs).origin && !request.url().startsWith("data:")) {
        elsewhere.push(request.url());
      }
    });
    await page.goto(docs);
    await page.locator(".opblock").first().waitFor();
    const operations = await page.locator(".opblock").count();
    assert.equal(operations, 15);

    const create = page.locator("#operations-cards-aid_cards_post");
    await create.locator(".opblock-summary-control").click();
    await create.getByRole("button", { name: "Try it out" }).click();
    await create.getByRole("button", { name: "Execute" }).click();
    const answer = create.locator(".live-responses-table .response");
    await answer.waitFor();
    assert.equal((await answer.locator(".response-col_status").innerText()).trim(), "200");
    const card = JSON.parse(await answer.locator(".response-col_description .highlight-code code").innerText());
    assert.equal(card.amount_available, 10_000);

    await page.screenshot({ path: screenshot });
    assert.deepEqual({ complaints, elsewhere }, { complaints: [], elsewhere: [] });
    return `${operations} operations, a card created, no complaint`;
  } finally {
    await browser.close();
  }
}
