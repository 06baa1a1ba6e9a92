// What the scripts share that drive our pages in Chromium: the browser, waiting, looking, what went wrong.
//
// Each reads a task as JSON from stdin, of which these are used here: {chromium, axe, shots, patience}
//   axe is the file of axe-core, shots a folder for screenshots or null, patience in milliseconds;
// and writes what it saw as JSON, with
//   {unread: serious findings of axe-core, wide: pages that are wider than their window, failures: answers of 400
//    and above that were not expected, errors: of scripts and on the console, dialogs: how many scripts opened,
//    alive: names of the files' that have become elements}.

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

import { FLAGS } from './flags.mjs';

const WIDTHS = { wide: 1400, narrow: 390 };
const ALIVE = 'main script, main svg, main [onerror], main [onmouseover], main b';

export const task = JSON.parse(await text(process.stdin));
export const seen = { unread: [], wide: [], failures: [], errors: [], dialogs: 0, alive: [] };

const axe = task.axe ? await readFile(task.axe, 'utf8') : '';
const expected = new Set();
let browser;

async function newContext(options) {
  browser ??= await chromium.launch({ executablePath: task.chromium, headless: true, args: FLAGS });
  const context = await browser.newContext(options);
  context.setDefaultTimeout(task.patience);
  return context;
}

/** Answers of `statuses` are no failures from now on; without any, all are again. */
export function expect(...statuses) {
  expected.clear();
  for (const status of statuses) expected.add(status);
}

export function watched(page) {
  page.on('pageerror', (error) => seen.errors.push(`${page.url()}: ${error}`));
  page.on('console', (message) => {
    const isExpected = [...expected].some((status) => message.text().includes(status));
    if (message.type() === 'error' && !isExpected) seen.errors.push(`${page.url()}: ${message.text()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400 && !expected.has(response.status())) seen.failures.push(`${response.status()} ${response.url()}`);
  });
  page.on('dialog', async (dialog) => {
    seen.dialogs += 1;
    await dialog.dismiss();
  });
  return page;
}

export const textOf = (page, selector) => page.locator(selector).innerText();

export const until = (page, selector, pattern) =>
  page.waitForFunction(
    ([where, source]) => new RegExp(source).test(document.querySelector(where)?.textContent ?? ''),
    [selector, pattern.source],
  );

export const figures = (page) =>
  page.$$eval('[data-figure]', (all) => Object.fromEntries(all.map((one) => [one.dataset.figure, one.textContent])));

/** Look at a page as people do who need contrast, a reader or a telephone: light and wide, dark and narrow. */
export async function looked(page, name) {
  const before = page.viewportSize();
  await page.evaluate(axe);
  for (const [form, scheme] of [['wide', 'light'], ['narrow', 'dark']]) {
    await page.setViewportSize({ width: WIDTHS[form], height: 860 });
    await page.emulateMedia({ colorScheme: scheme });
    const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    for (const { id, impact, nodes } of found.violations) {
      if (['serious', 'critical'].includes(impact)) seen.unread.push(`${name}, ${form} and ${scheme}: ${id}: ${nodes[0].html}`);
    }
    const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (over > 0) seen.wide.push(`${name}, ${form}: ${over}`);
    if (!task.shots) continue;
    for (const shown of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme: shown });
      await page.screenshot({ path: `${task.shots}/${name}-${form}-${shown}.png`, fullPage: true });
    }
  }
  const alive = await page.locator(ALIVE).count();
  if (alive) seen.alive.push(`${name}: ${alive}`);
  await page.emulateMedia({ colorScheme: null });
  if (before) await page.setViewportSize(before);
}

/** Press Tab until what has the focus matches `selector`. */
export async function tabTo(page, selector, most = 90) {
  for (let pressed = 0; pressed < most; pressed += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((where) => document.activeElement.matches(where), selector)) return;
  }
  throw new Error(`no Tab leads to ${selector}`);
}

/** Run `steps` with a page of a new context; what they throw is an error that was seen. */
export async function within(options, ...steps) {
  const context = await newContext({ viewport: { width: 1280, height: 860 }, ...options });
  const page = watched(await context.newPage());
  try {
    for (const step of steps) await step(page);
  } catch (error) {
    seen.errors.push(error.stack);
    if (task.shots) await page.screenshot({ path: `${task.shots}/failed.png` });
  }
  await context.close();
}

/** A page of a further browser, which must be closed with its context. */
export async function another() {
  const context = await newContext({});
  return watched(await context.newPage());
}

export async function done() {
  await browser?.close();
  tell();
}

export function tell() {
  process.stdout.write(JSON.stringify(seen));
}
