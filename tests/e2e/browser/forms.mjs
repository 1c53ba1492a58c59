// Sends what changes something, as people do from the docs page, and prints what was seen;
// `tests/e2e/test_docs_forms.py` judges.
import { authorize, execute, expand, expandOperations, inBrowser, tryEverything } from "./page.mjs";

const BODY = "textarea.body-param__text";
const operation = (tag, name) => `#operations-${tag}-${name}`;

await inBrowser(async (open, given) => {
  const found = { journals: {} };
  for (const [name, work] of Object.entries({ every, agent, keyboard, manager, inline })) {
    const contract = { every: given.forms, inline: given.inline }[name] ?? given.some_forms;
    const { page, journal, context } = await open({ contract });
    found[name] = await work(page, given);
    found.journals[name] = journal;
    await context.close();
  }
  return found;
});

/** The forms of all operations: as they stand, and once whatever asks for a click has had it. */
async function every(page, { token }) {
  await authorize(page, token);
  await expandOperations(page);
  const before = await page.evaluate(formsShown);
  await tryEverything(page);
  return { before, after: await page.evaluate(formsShown) };
}

/** Runs in the page: by operation, what can be pressed and what is filled in. */
function formsShown() {
  const visible = (one) => one.checkVisibility() && !one.disabled;
  const shown = (block) => ({
    method: block.querySelector(".opblock-summary-method").textContent,
    buttons: [...block.querySelectorAll(".execute, .try-out__btn")].filter(visible).map((one) => one.textContent.trim()),
    inputs: Object.fromEntries([...block.querySelectorAll("tr[data-param-name]")].map((row) => [
      row.dataset.paramName,
      { required: Boolean(row.querySelector(".required")), value: row.querySelector("input")?.value },
    ])),
    body: block.querySelector("textarea.body-param__text")?.value,
  });
  const name = (block) => block.id.split("-").at(-1);
  return Object.fromEntries([...document.querySelectorAll(".opblock")].map((one) => [name(one), shown(one)]));
}

/** What a Node's own agent may do, with the examples where they will do. */
async function agent(page, { token }) {
  const [put, remove] = ["Put", "Delete"].map((one) => operation("mesh", `${one}NodeStateReport`));
  const beat = operation("mesh", "PostNodeHeartbeat");
  await authorize(page, token);
  await expand(page, put);
  const example = await page.inputValue(`${put} ${BODY}`);
  const report = { example, asItStands: await execute(page, put) };
  await page.fill(`${put} ${BODY}`, '{"value": "edited on the page"}');
  report.edited = await execute(page, put);
  report.pulled = await pulled(page);
  await expand(page, remove);
  report.removed = await execute(page, remove);
  report.removedAgain = await execute(page, remove);
  await expand(page, beat);
  const heartbeat = JSON.parse(await page.inputValue(`${beat} ${BODY}`));
  heartbeat.client_now = new Date().toISOString();
  await page.fill(`${beat} ${BODY}`, JSON.stringify(heartbeat, null, 2));
  return { report, heartbeat: await execute(page, beat) };
}

async function pulled(page) {
  await expand(page);
  return execute(page);
}

async function keyboard(page, { token }) {
  const put = operation("mesh", "PutNodeStateReport");
  const tabTo = async (selector) => {
    for (let i = 0; i < 20; i += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate((one) => document.activeElement.matches(one), selector)) return page.evaluate(outlined);
    }
    throw new Error(`${selector} is not reached by Tab`);
  };
  await authorize(page, token);
  await page.focus(`${put} .opblock-summary-control`);
  await page.keyboard.press("Enter");
  await page.waitForSelector(`${put} .try-out__btn`);
  const seen = [await tabTo(".try-out__btn")];
  await page.keyboard.press("Enter");
  await page.waitForSelector(`${put} .execute`);
  seen.push(await tabTo("textarea"));
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText('{"value": "typed"}');
  seen.push(await tabTo(".execute"));
  const answer = await execute(page, put, () => page.keyboard.press("Enter"));
  await page.waitForSelector(`${put} .execute:enabled`);
  return { seen, answer, after: await page.evaluate(() => document.activeElement.className) };
}

/** Runs in the page: whether what has the focus shows it. */
function outlined() {
  const style = getComputedStyle(document.activeElement);
  return style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
}

async function manager(page, { operator, domain }) {
  const create = operation("registry", "CreateDomain");
  await expand(page, create);
  await page.fill(`${create} ${BODY}`, domain);
  const nobody = await execute(page, create);
  await authorize(page, operator);
  const created = await execute(page, create);
  const again = await execute(page, create);
  return { nobody, created, again };
}

/** The same page over a contract that declares parameters where they are used. */
async function inline(page, { token }) {
  await authorize(page, token);
  const { asked, status } = await pulled(page);
  const text = await page.textContent(operation("mesh", "GetNodeState"));
  return { asked, status, described: text.split("For example shown.").length - 1 };
}
