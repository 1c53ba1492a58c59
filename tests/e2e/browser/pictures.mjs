// Takes the pictures of the docs page that `make pictures` puts into `docs/pictures/`.
import { authorize, execute, expand, inBrowser, PULL } from "./page.mjs";

const SHOTS = [
  { name: "docs-light.png", colorScheme: "light", viewport: { width: 1180, height: 1050 } },
  { name: "docs-dark.png", colorScheme: "dark", viewport: { width: 1180, height: 670 }, top: `${PULL} .live-responses-table` },
  { name: "docs-phone.png", colorScheme: "light", viewport: { width: 390, height: 844 } },
];

await inBrowser(async (open, { token, folder }) => {
  for (const { name, top = "body", ...options } of SHOTS) {
    const { page, context } = await open(options);
    await authorize(page, token);
    await expand(page);
    await execute(page);
    // Nothing that has the focus or the mouse over it.
    await page.evaluate((selector) => {
      document.activeElement.blur();
      document.querySelector(selector).scrollIntoView();
    }, top);
    await page.mouse.move(2, 2);
    await page.waitForTimeout(800);
    await page.screenshot({ path: `${folder}/${name}` });
    await context.close();
  }
  return SHOTS.map(({ name }) => name);
});
