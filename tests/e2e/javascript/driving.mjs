// What the scripts share that drive our pages in Chromium: the browser, waiting, looking, what went wrong.
//
// Each takes a task as JSON from stdin with, among others, {chromium, axe, shots, patience}: axe is the file of
// axe-core, shots a folder for screenshots or null, patience is in milliseconds and holds for each thing that is waited
// for. Each writes what it saw as JSON to stdout, with {unread, wide, errors, failures, dialogs}: serious findings of
// axe-core, pages wider than their window, errors of scripts and console, answers of 400 and above, dialogs.

import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

export const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const task = JSON.parse(await text(process.stdin));
export const seen = { unread: [], wide: [], errors: [], failures: [], dialogs: 0 };

const axe = task.axe ? await readFile(task.axe, 'utf8') : '';

export const textOf = (page, selector) => page.locator(selector).innerText();
export const until = (page, selector, pattern) =>
  page.waitForFunction(
    ([where, source]) => new RegExp(source).test(document.querySelector(where)?.textContent ?? ''),
    [selector, pattern.source],
  );
export const figures = (page) =>
  page.$$eval('[data-figure]', (all) => Object.fromEntries(all.map((one) => [one.dataset.figure, one.textContent])));

/** Note what goes wrong on the page; errors of the console that `isExpected` takes are none. */
export function watched(page, isExpected = () => false) {
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && !isExpected(message.text()) && seen.errors.push(message.text()));
  page.on('response', (response) => response.status() >= 400 && seen.failures.push(`${response.status()} ${response.url()}`));
  page.on('dialog', async (dialog) => {
    seen.dialogs += 1;
    await dialog.dismiss();
  });
  return page;
}

export async function shot(page, name) {
  if (task.shots) await page.screenshot({ path: `${task.shots}/${name}.png`, fullPage: true });
}

/** Serious findings of axe-core, and whether the page is wider than its window. */
export async function looked(page, name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  for (const { id, impact, nodes } of found.violations) {
    if (['serious', 'critical'].includes(impact)) seen.unread.push(`${name}: ${id}: ${nodes[0].html}`);
  }
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  if (over > 0) seen.wide.push(`${name}: ${over}`);
  await shot(page, name);
}

/** A browser: `within(options, isExpected, ...steps)` takes a new page through steps, the first that fails ends them. */
export async function withBrowser(work) {
  const browser = await chromium.launch({ executablePath: task.chromium, headless: true, args: FLAGS });
  async function within(options, isExpected, ...steps) {
    const context = await browser.newContext(options);
    context.setDefaultTimeout(task.patience);
    const page = watched(await context.newPage(), isExpected);
    try {
      for (const step of steps) await step(page);
    } catch (error) {
      seen.errors.push(error.stack);
      await shot(page, 'failed');
    }
    await context.close();
  }
  await work(within);
  await browser.close();
  tell();
}

export function tell() {
  process.stdout.write(JSON.stringify(seen));
}
