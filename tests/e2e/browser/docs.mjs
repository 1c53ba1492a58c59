// Uses the docs page as people do and prints what was seen; `tests/e2e/test_docs_page.py` judges.
import { dimTexts } from "./contrast.mjs";
import { authorize, execute, expand, expandEverything, inBrowser, PULL } from "./page.mjs";

const READ = "#operations-mesh-GetNodeReachability";
const CREATE = "#operations-registry-CreateDomain";
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

await inBrowser(async (open, given) => {
  const journals = {};
  const visit = async (name, options, work) => {
    const { page, journal, context } = await open(options);
    const found = await work(page);
    journals[name] = journal;
    await context.close();
    return found;
  };
  return {
    pull: await visit("pull", {}, (page) => pull(page, given)),
    refusals: await visit("refusals", { contract: given.some_forms }, (page) => refusals(page, given)),
    widths: await visit("phone", { ...PHONE, contract: given.forms }, widths),
    open: await visit("open", { colorScheme: "light", contract: given.few }, (page) => everythingOpen(page, given)),
    keyboard: await visit("keyboard", { contract: given.some_forms }, (page) => keyboardOnly(page, given)),
    attack: await visit("attack", { contract: given.some_forms }, attack),
    journals,
  };
});

async function pull(page, { token }) {
  await authorize(page, token);
  await expand(page);
  const id = await page.inputValue(`${PULL} input[placeholder="id"]`);
  const empty = await page.inputValue(`${PULL} input[placeholder="X-Correlation-Id"]`);
  const answer = await execute(page);
  const kept = await page.evaluate(() => [localStorage.length, sessionStorage.length, document.cookie]);
  await page.reload();
  await expand(page);
  await page.fill(`${PULL} input[placeholder="id"]`, id);
  const reloaded = await execute(page);
  return { id, empty, answer, kept, reloaded };
}

async function refusals(page, { stranger, node }) {
  await expand(page);
  await page.fill(`${PULL} input[placeholder="id"]`, node);
  const nobody = await execute(page);
  await authorize(page, stranger);
  const unrelated = await execute(page);
  return { nobody, stranger: unrelated };
}

/** What there is to read, in both schemes of the system, which changes under the page. */
async function looks(page) {
  const found = {};
  for (const scheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: scheme });
    await page.waitForFunction((dark) =>
      document.documentElement.classList.contains("dark-mode") === dark, scheme === "dark");
    await page.evaluate(colorsAtRest);
    found[scheme] = await page.evaluate(dimTexts);
  }
  return found;
}

/** Everything that can be opened stands open: to open it is most of what all of this takes. */
async function everythingOpen(page, { token }) {
  const found = { start: await looks(page) };
  await page.click(".scheme-container .authorize");
  found.dialog = await looks(page);
  await page.keyboard.press("Escape");
  await authorize(page, token);
  await expandEverything(page);
  // What was edited can be reset: another button.
  await page.fill(`${CREATE} textarea.body-param__text`, "{}");
  await page.click("#operations-registry-DeleteDomain .try-out__btn.cancel");
  await execute(page, READ);
  found.open = await looks(page);
  return { looks: found, widths: await widthsOf(page) };
}

/** Runs in the page: the end of every transition, however slow the machine. */
async function colorsAtRest() {
  const moving = () => document.getAnimations().filter((one) => one instanceof CSSTransition);
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  for (await frame(), await frame(); moving().length > 0; await frame()) {
    await Promise.allSettled(moving().map((one) => one.finished));
  }
}

/** How far the page reaches beyond its window, as [width of the page, width of the window]. */
async function widthsOf(page) {
  const found = [];
  for (const width of [390, 320]) {
    await page.setViewportSize({ width, height: 844 });
    // What a resize moves may move for a few frames.
    await page.waitForFunction(() => document.documentElement.scrollWidth <= innerWidth, null, { timeout: 5_000 }).catch(() => {});
    found.push(await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]));
  }
  return found;
}

async function widths(page) {
  const start = await widthsOf(page);
  await page.click(".scheme-container .authorize");
  return { start, dialog: await widthsOf(page) };
}

async function keyboardOnly(page, { token }) {
  const stops = [];
  const press = async (key) => {
    await page.keyboard.press(key);
    stops.push(await page.evaluate(focused));
    return stops.at(-1).name;
  };
  const tabTo = async (wanted, most = 40) => {
    for (let i = 0; i < most; i += 1) if ((await press("Tab")).includes(wanted)) return true;
    throw new Error(`${wanted} is not reached by Tab: ${stops.map((one) => one.name).join(", ")}`);
  };
  await tabTo("authorize");
  await press("Enter");
  const box = await page.evaluate(focused);
  await page.keyboard.insertText(token);
  await press("Enter");
  await page.waitForSelector(".dialog-ux .auth-container >> text=Logout");
  const inside = [];
  for (let i = 0; i < 8; i += 1) {
    await press("Tab");
    inside.push(await page.evaluate(() => Boolean(document.activeElement.closest(".modal-ux"))));
  }
  await press("Escape");
  const back = await page.evaluate(focused);
  const closed = (await page.locator(".dialog-ux").count()) === 0;
  await tabTo("opblock-summary-control");
  await press("Enter");
  // The fields come after the button, once the page has resolved the references of the operation.
  await page.waitForSelector(`${PULL} .parameters input`);
  await tabTo("execute");
  // Until the answer is there the button is out of order and cannot hold the focus.
  const answer = await execute(page, PULL, () => page.keyboard.press("Enter"));
  await page.waitForSelector(`${PULL} .execute:enabled`);
  stops.push(await page.evaluate(focused));
  const after = stops.at(-1);
  return { box, inside, back, closed, answer, after, stops };
}

/** Runs in the page: what has the focus, and whether it can be seen. */
function focused() {
  const element = document.activeElement;
  const style = getComputedStyle(element);
  const visible = style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
  return { name: `${element.tagName} ${element.className} ${element.id}`.trim(), visible };
}

/** What the policy must stop: a script in the page, a request to another origin, a form, a frame. */
async function attack(page) {
  return page.evaluate(async () => {
    const inline = document.createElement("script");
    inline.textContent = "window.inlineRan = true";
    document.head.append(inline);
    const elsewhere = await fetch("http://127.0.0.2:9/").then(() => "sent", () => "stopped");
    const frame = document.createElement("iframe");
    frame.src = "/docs";
    document.body.append(frame);
    await new Promise((resolve) => setTimeout(resolve, 300));
    return { inlineRan: Boolean(window.inlineRan), elsewhere };
  });
}
