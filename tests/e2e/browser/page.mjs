// What the scripts share: a browser that is surely ended, pages that keep a journal, and the few
// things a person does on the docs page.
import { createRequire } from "node:module";
import { join } from "node:path";

const { chromium } = createRequire(join(process.env.BROWSER_HOME, "from-here.js"))("playwright-core");

export const PULL = "#operations-mesh-GetNodeState";
const CLOSED = ".try-out__btn:not(.cancel)";
const READY = `:is(.execute, ${CLOSED})`;
const STEP_MS = 30_000;
// The references of every operation, on a busy machine.
const ALL_MS = 60_000;

/** Runs `work(open)` and prints what it returns as JSON; `open` gives a page with a journal. */
export async function inBrowser(work) {
  const given = JSON.parse(process.argv[2]);
  const { executablePath, env, deadline } = given.browser;
  // Playwright ends its own browser when this process exits.
  setTimeout(() => { console.error(`not done after ${deadline} ms`); process.exit(3); }, deadline).unref();
  const args = ["--headless=shell", "--font-render-hinting=none"];
  if (given.netlog) args.push(`--log-net-log=${given.netlog}`);
  const browser = await chromium.launch({ executablePath, args, env: { ...process.env, ...env } });
  try {
    const found = await work((options) => open(browser, given.url, options), given);
    await browser.close();
    process.stdout.write(JSON.stringify(found));
  } catch (error) {
    await browser.close();
    console.error(error.stack);
    process.exitCode = 1;
  }
}

// `contract` is the path of a file that stands in for the service's: a page of fewer operations, or
// of less about each, costs a part of the whole one.
async function open(browser, url, { path = "/docs", contract, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
  context.setDefaultTimeout(STEP_MS);
  const page = await context.newPage();
  const journal = { requests: [], console: [], errors: [], violations: [] };
  page.on("request", (one) => journal.requests.push(one.url()));
  page.on("pageerror", (error) => journal.errors.push(String(error)));
  page.on("console", (one) => journal.console.push({ type: one.type(), text: one.text() }));
  await page.exposeFunction("noteViolation", (text) => journal.violations.push(text));
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      window.noteViolation(`${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  if (contract) await page.route("**/v1/openapi.yaml", (route) => route.fulfill({ path: contract }));
  await page.goto(url + path);
  await page.waitForSelector(".opblock");
  return { page, journal, context };
}

/** Pastes a token into the box, as with a mouse. */
export async function authorize(page, token) {
  await page.click(".scheme-container .authorize");
  await page.fill(".dialog-ux input", token);
  await page.click(".dialog-ux .authorize");
  await page.waitForSelector(".dialog-ux .auth-container >> text=Logout");
  await page.click(".dialog-ux .btn-done");
}

/** Opens an operation, and its form where that wants a click of its own. */
export async function expand(page, operation = PULL) {
  const control = page.locator(`${operation} .opblock-summary-control`);
  // A reload finds it as the address says.
  if ((await control.getAttribute("aria-expanded")) === "false") await control.click();
  await page.waitForSelector(`${operation} ${READY}`);
  const closed = page.locator(`${operation} ${CLOSED}`);
  if (await closed.count()) await closed.click();
  await page.waitForSelector(`${operation} .execute`);
}

/** Sends what an operation's form holds; what the page then shows. */
export async function execute(page, operation = PULL, act = () => page.click(`${operation} .execute`)) {
  const [response] = await Promise.all([
    page.waitForResponse((one) => new URL(one.url()).pathname.includes("/v1/")), act(),
  ]);
  const row = page.locator(`${operation} .live-responses-table > tbody > tr`);
  const correlation = response.headers()["x-correlation-id"];
  // The answer before this one may still stand there; no two have the same correlation id.
  await row.filter({ hasText: correlation }).waitFor();
  const status = Number.parseInt(await row.locator(".response-col_status").textContent(), 10);
  const shown = row.locator(".highlight-code code");
  const body = (await shown.count()) ? JSON.parse(await shown.first().textContent()) : null;
  const request = response.request();
  return { status, body, sent: response.status(), asked: request.headers(), posted: request.postData() };
}

/** Clicks all there are of something; how many there were. */
const clickAll = (page, selector) => page.evaluate((all) => {
  const found = [...document.querySelectorAll(all)];
  found.forEach((one) => one.click());
  return found.length;
}, selector);
const openAll = (page, selector) => clickAll(page, `${selector}[aria-expanded="false"]`);

/** Opens every operation; no form that wants a click of its own. */
export async function expandOperations(page) {
  await openAll(page, ".opblock-summary-control");
  await page.waitForFunction((ready) => {
    const blocks = [...document.querySelectorAll(".opblock")];
    return blocks.every((one) => one.querySelector(ready));
  }, READY, { timeout: ALL_MS, polling: 200 });
}

/** Opens the form of everything that changes something. */
export async function tryEverything(page) {
  await clickAll(page, CLOSED);
}

/** Opens every operation, every form, every response's schema and every model. */
export async function expandEverything(page) {
  await expandOperations(page);
  await openAll(page, ".models-control");
  await page.waitForSelector(".model-container");
  // What opens holds further ones.
  for (let depth = 0; depth < 2 && (await openAll(page, ".model-box-control")); depth += 1) {
    await page.waitForTimeout(200);
  }
  await tryEverything(page);
}
