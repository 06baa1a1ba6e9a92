// Clicks on series in Chromium, each with an empty cache, and says when which picture was drawn.
//
// stdin: what driving.mjs tells of, and {root, megabits, latency, clicks: [{method, study, series, size}]}
//   root is the gateway's; megabits a second and milliseconds are those of the line, 0 for that of this machine; method
//   is one of the stack view's, size what its full picture measures across.
// stdout: {clicks: [{first, full, across, requests, bytes, steps}]} and what driving.mjs tells of
//   first and full are milliseconds from the click until a picture was drawn, across the pixels of the first one;
//   requests and bytes are those until the full one, steps when the answers to each request came, in milliseconds.

import { seen, task, tell, watched } from './driving.mjs';
import { FLAGS } from './flags.mjs';
import { chromium } from 'playwright-core';

seen.clicks = [];

/** Runs in the page, before its scripts: notes what is drawn on the stage. */
function note() {
  window.drawn = [];
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (source, ...rest) {
    draw.call(this, source, ...rest);
    if (this.canvas.id === 'canvas') window.drawn.push([performance.now(), source.width]);
  };
}

/** Runs in the page: what was drawn, and what was asked for until `full`. */
function told({ full, method }) {
  const [first, across] = window.drawn[0];
  const [done] = window.drawn.find(([, width]) => width === full);
  const asked = performance.getEntriesByType('resource').filter(({ responseEnd }) => responseEnd <= done);
  const steps = asked
    .filter(({ initiatorType }) => initiatorType === 'fetch')
    .map(({ name, startTime, responseEnd }) => [name.replace(/.*\/(?=[^/])/, ''), Math.round(startTime), Math.round(responseEnd)]);
  const bytes = asked.reduce((sum, { transferSize }) => sum + transferSize, 0);
  return { method, first, full: done, across, requests: asked.length, bytes, steps };
}

async function clicked(browser, { method, study, series, size }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 860 } });
  context.setDefaultTimeout(task.patience);
  const page = watched(await context.newPage());
  await page.addInitScript(note);
  await page.goto(`${task.root}/pages/studies?PatientID=nobody`);
  await page.waitForLoadState('networkidle');
  if (task.megabits) {
    const devtools = await context.newCDPSession(page);
    const bytes = (task.megabits * 1e6) / 8;
    await devtools.send('Network.enable');
    await devtools.send('Network.emulateNetworkConditions', { offline: false, latency: task.latency, downloadThroughput: bytes, uploadThroughput: bytes });
  }
  await page.evaluate(
    ([href, chosen]) => {
      localStorage.setItem('stack-method', chosen);
      const link = document.createElement('a');
      link.href = href;
      document.body.append(link);
      link.click();
    },
    [`${task.root}/pages/stack?study=${study}&series=${series}`, method],
  );
  await page.waitForURL('**/pages/stack?**', { waitUntil: 'commit' });
  await page.waitForFunction((full) => window.drawn?.some(([, width]) => width === full), size);
  seen.clicks.push(await page.evaluate(told, { full: size, method }));
  await context.close();
}

const browser = await chromium.launch({ executablePath: task.chromium, headless: true, args: FLAGS });
for (const click of task.clicks) await clicked(browser, click);
await browser.close();
tell();
