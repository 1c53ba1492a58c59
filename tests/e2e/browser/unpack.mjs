// Unpacks what the browser package carries below TMPDIR: the browser, fonts, and libraries that a
// bare machine lacks.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

const home = process.env.BROWSER_HOME;
const entry = createRequire(join(home, "from-here.js")).resolve("@sparticuz/chromium");
const { inflate } = await import(pathToFileURL(entry));
const archives = ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"];
await Promise.all(archives.map((name) => inflate(join(dirname(entry), "..", "bin", name))));
