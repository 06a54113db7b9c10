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
    const operations = await tryIt(await newPage(browser, docs), screenshot);
    await readOnly(await newPage(browser, docs));
    return `${operations} operations, a card created, no complaint`;
  } finally {
    await browser.close();
  }
}

/** newPage makes a page that notes whatever the browser complains of, and requests to other servers. */
async function newPage(browser, docs) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 1600 } });
  const faults = [];
  page.on("console", (message) => faults.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(docs).origin && !request.url().startsWith("data:")) {
      faults.push(`asks ${request.url()}`);
    }
  });
  return { page, docs, faults };
}

/** tryIt creates a card on the page of a sandbox, and takes the picture. */
async function tryIt({ page, docs, faults }, screenshot) {
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
  assert.deepEqual(faults, []);
  return operations;
}

/** readOnly looks at the page as a server has it that lets nobody try: nothing can be sent, no token entered. */
async function readOnly({ page, docs, faults }) {
  await page.route("**/docs", async (route) => {
    const response = await route.fetch();
    const body = await response.text();
    assert(body.includes('data-try-it="true"'));
    await route.fulfill({ response, body: body.replace('data-try-it="true"', 'data-try-it="false"') });
  });
  await page.goto(docs);
  const create = page.locator("#operations-cards-aid_cards_post");
  await create.locator(".opblock-summary-control").click();
  await create.getByText("Opened by any one of the scopes").waitFor();
  for (const name of ["Try it out", "Execute", "Authorize"]) {
    assert.equal(await page.getByRole("button", { name }).count(), 0, name);
  }
  assert.deepEqual(faults, []);
}
