// Pulls from the docs page behind a proxy with a path prefix, and prints where requests went;
// `tests/e2e/test_path_prefix.py` judges.
import { authorize, execute, expand, inBrowser } from "./page.mjs";

await inBrowser(async (open, { token, prefix }) => {
  const { page, journal } = await open({ path: `${prefix}/docs` });
  await authorize(page, token);
  await expand(page);
  const { status } = await execute(page);
  return { status, requests: journal.requests, errors: journal.errors };
});
