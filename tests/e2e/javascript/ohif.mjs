// Opens OHIF in Chromium, its study list and then studies, and writes what it saw as JSON.
//
// stdin: {chromium, profile, viewer, base, listed, studies: [{uid, series, overlay}], patience}
//   viewer and base are the roots of the viewer and of the DICOMweb server, `listed` is how many studies the list
//   must show; of each study `series` is how many of them the browser must show, and `overlay` asks for the
//   segmentation to be drawn; patience is in milliseconds and holds for each thing that is waited for.
// stdout: {rows: [text], studies: [{uid, drawn: {colours, coloured}, overlaid}], requests, failures, errors}
//   colours is the number of different colours on the viewport's canvas, coloured the number of pixels that are
//   not grey; failures are requests that failed or were answered 400 or above.

import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

import { FLAGS } from './flags.mjs';

const ROWS = 'tbody tr[aria-selected]';
const SERIES = '[data-cy="study-browser-thumbnail"], [data-cy="study-browser-thumbnail-no-image"]';
const ENOUGH_COLOURS = 16;

const task = JSON.parse(await text(process.stdin));
const seen = { rows: [], studies: [], requests: 0, failures: [], errors: [] };

async function opened(context, address) {
  const page = await context.newPage();
  page.on('request', (request) => {
    seen.requests += request.url().startsWith(task.base) ? 1 : 0;
  });
  page.on('requestfailed', (request) => seen.failures.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('response', (response) => {
    if (response.status() >= 400) {
      seen.failures.push(`${response.url()}: ${response.status()}`);
    }
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') {
      seen.errors.push(message.text());
    }
  });
  await page.goto(address);
  return page;
}

// Runs in the page: what is on the viewport's canvas, or null before it is enough.
function picture({ colours: least, coloured: leastColoured }) {
  const canvas = document.querySelector('[data-cy="viewport-pane"] canvas.cornerstone-canvas');
  if (!canvas?.width) {
    return null;
  }
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint32Array(data.buffer);
  const colours = new Set(pixels).size;
  let coloured = 0;
  for (let at = 0; at < data.length; at += 4) {
    coloured += data[at] !== data[at + 1] || data[at] !== data[at + 2] ? 1 : 0;
  }
  return colours >= least && coloured >= leastColoured ? { colours, coloured } : null;
}

async function drawn(page, coloured = 0) {
  const found = await page.waitForFunction(picture, { colours: ENOUGH_COLOURS, coloured }, { polling: 200 });
  return found.jsonValue();
}

const count = (page, selector, number) =>
  page.waitForFunction(([what, of]) => document.querySelectorAll(what).length === of, [selector, number]);

async function listed(context) {
  const page = await opened(context, task.viewer);
  await count(page, ROWS, task.listed);
  seen.rows = await page.locator(ROWS).allInnerTexts();
  await page.waitForLoadState('networkidle');
  await page.close();
}

async function looked(context, { uid, series, overlay }) {
  const page = await opened(context, `${task.viewer}/viewer?StudyInstanceUIDs=${uid}`);
  const study = { uid, drawn: await drawn(page) };
  await count(page, SERIES, series);
  if (overlay) {
    await page.locator('[data-cy="study-browser-thumbnail-no-image"]').dblclick();
    study.overlaid = await drawn(page, study.drawn.coloured + 100);
  }
  await page.waitForLoadState('networkidle');
  await page.close();
  seen.studies.push(study);
}

const context = await chromium.launchPersistentContext(task.profile, {
  executablePath: task.chromium,
  headless: true,
  args: FLAGS,
  viewport: { width: 1280, height: 800 },
});
context.setDefaultTimeout(task.patience);
try {
  await listed(context);
  for (const study of task.studies) {
    await looked(context, study);
  }
} catch (error) {
  seen.errors.push(String(error));
}
await context.close();
process.stdout.write(JSON.stringify(seen));
