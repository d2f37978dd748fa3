/**
 * `npm run -s browser`: the built package in Chromium, one line for each mode. `--required`: no Chromium is a failure.
 * `--screenshots folder`: keeps a picture of each page.
 */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";
import { faultsOf } from "./check.mjs";
import { MODES } from "./modes.mjs";
import { serve } from "./server.mjs";

const CHROMIUM = "/usr/bin/chromium";
const PAGE_TIMEOUT_MS = 60_000;
/** For all modes: a browser that hangs in its start or its end is stopped too. */
const TIMEOUT_MS = 240_000;
const CHROMIUM_OPTIONS = [
  "--no-sandbox",
  "--disable-gpu",
  "--use-angle=swiftshader", // WebGL without a GPU
  "--enable-unsafe-swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const { values: options } = parseArgs({
  options: { required: { type: "boolean" }, screenshots: { type: "string" } },
});

if (existsSync(CHROMIUM)) {
  process.exitCode = (await runAll()) ? 0 : 1;
} else {
  console.log(`skipped: there is no ${CHROMIUM}`);
  process.exitCode = options.required ? 1 : 0;
}

async function runAll() {
  const profile = mkdtempSync(join(tmpdir(), "ouroheap-chromium-"));
  process.once("exit", () => rmSync(profile, { recursive: true, force: true, maxRetries: 5 }));
  const watchdog = setTimeout(() => {
    console.error(`FAIL: not done after ${TIMEOUT_MS / 1000} s`);
    process.exit(1); // at which playwright kills the browser
  }, TIMEOUT_MS);
  try {
    const browser = await chromium.launchPersistentContext(profile, {
      executablePath: CHROMIUM,
      headless: true,
      args: CHROMIUM_OPTIONS,
    });
    try {
      let isAllOk = true;
      for (const mode of MODES) isAllOk = (await runMode(browser, mode)) && isAllOk;
      return isAllOk;
    } finally {
      await browser.close();
    }
  } catch (error) {
    console.error(`FAIL: ${error.message}`);
    return false;
  } finally {
    clearTimeout(watchdog);
  }
}

/** Visits the page in one mode, and prints its line. @returns whether all was as it should be */
async function runMode(browser, mode) {
  const { result, messages } = await visit(browser, mode);
  const faults = faultsOf(mode, result, messages);
  console.log(`${faults.length === 0 ? "ok  " : "FAIL"} ${mode.name}: ${summary(result)}`);
  for (const fault of faults) console.error(`     ${fault}`);
  return faults.length === 0;
}

async function visit(browser, { name, headers, query }) {
  const server = await serve(headers);
  const page = await browser.newPage();
  const messages = [];
  page.on("console", (message) => messages.push({ type: message.type(), text: message.text() }));
  page.on("pageerror", (error) => messages.push({ type: "error", text: String(error) }));
  try {
    await page.goto(`${server.origin}/test/browser/index.html${query}`, { timeout: PAGE_TIMEOUT_MS });
    await page.waitForFunction("window.ouroheap !== undefined", undefined, { timeout: PAGE_TIMEOUT_MS });
    if (options.screenshots !== undefined)
      await page.screenshot({ path: join(options.screenshots, `${name}.png`), fullPage: true });
    return { result: await page.evaluate("window.ouroheap"), messages };
  } finally {
    await page.close();
    await server.close();
  }
}

function summary({ error, facts, rows }) {
  if (error !== null) return "the page threw";
  const { adopted, disposed, owned } = rows.at(-2).heapSays;
  const left = Object.values(rows.at(-1).alive).reduce((total, count) => total + count);
  return `${facts.memory}, ${facts.judge}; ${adopted} adopted, ${disposed} disposed, ${owned} more when the heap ended, ${left} left alive`;
}
