// Takes the picture of the docs page that `make pictures` puts into `docs/pictures/`.
import { authorize, execute, expand, inBrowser } from "./page.mjs";

const NAME = "docs-light.png";

await inBrowser(async (open, { token, folder }) => {
  const { page, context } = await open({ colorScheme: "light", viewport: { width: 1180, height: 1050 } });
  await authorize(page, token);
  await expand(page);
  await execute(page);
  // Nothing that has the focus or the mouse over it.
  await page.evaluate(() => {
    document.activeElement.blur();
    document.body.scrollIntoView();
  });
  await page.mouse.move(2, 2);
  await page.waitForTimeout(800);
  await page.screenshot({ path: `${folder}/${NAME}` });
  await context.close();
  return [NAME];
});
