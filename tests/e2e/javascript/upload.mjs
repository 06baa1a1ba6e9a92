// Drives the upload page in Chromium and writes what it saw as JSON.
//
// stdin: what driving.mjs tells of, and {root, folder, more}
//   root is the gateway's; folder is chosen, more is dropped: folders with files to send.
// stdout: {found, rows, refused, asked, told, states, failed, sentAgain, shown, dropped} and what driving.mjs tells of

import { looked, seen, task, textOf, until, withBrowser } from './driving.mjs';

/** A folder with bad files: looked at, sent through a lost connection and a login that ends, seen to the end. */
async function chosen(page) {
  await page.goto(task.root);
  await page.getByRole('navigation').getByRole('link', { name: 'Upload' }).click();
  await looked(page, 'upload-empty');
  await page.locator('#folder-input').setInputFiles(task.folder);
  await until(page, '#told', /found/);
  seen.found = await textOf(page, '#told');
  seen.rows = await page.locator('#studies tr').allInnerTexts();
  seen.refused = await page.locator('#refused-files tbody tr').allInnerTexts();
  await looked(page, 'upload-found');
  await page.evaluate(() => {
    const told = document.getElementById('told');
    window.toldOf = [];
    new MutationObserver(() => window.toldOf.push(told.textContent)).observe(told, { childList: true });
  });
  const broken = ['abort', 401];
  seen.asked = [];
  await page.route('**/studies', async (route) => {
    const how = route.request().method() === 'POST' ? broken.shift() : undefined;
    if (how === undefined) return route.continue();
    seen.asked.push(how);
    if (how === 'abort') return route.abort();
    return route.fulfill({ status: how, json: { status: how, message: 'no login' } });
  });
  await page.route('**/session', (route) => (broken.length === 1 ? route.abort() : route.continue()));
  await page.getByRole('button', { name: /^Send \d+ files/ }).press('Enter');
  await page.getByRole('heading', { name: 'Your login has ended' }).waitFor();
  await until(page, '#told', /login has ended/);
  await page.getByRole('button', { name: 'Close' }).click();
  await until(page, '#told', /^Done/);
  seen.told = await page.evaluate(() => window.toldOf);
  seen.states = await page.locator('#studies .state').allInnerTexts();
  seen.failed = await page.locator('#failed-files tbody tr').allInnerTexts();
  await looked(page, 'upload-done');
  await page.getByRole('button', { name: 'Send them again' }).click();
  await until(page, '#told', /^Done/);
  seen.sentAgain = await page.locator('#failed-files tbody tr').count();
  await page.unrouteAll();
  await page.getByRole('link', { name: /Look at/ }).first().click();
  await page.waitForSelector('#studies .open');
  seen.shown = await page.locator('#studies .open').allInnerTexts();
}

/** A folder that is dropped, on a phone in the dark; one study of it is not wanted. */
async function dropped(page) {
  await page.goto(`${task.root}/pages/upload`);
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: [task.more], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await devtools.send('Input.dispatchDragEvent', { type, x: 100, y: 200, data });
  }
  await until(page, '#told', /found/);
  seen.dropped = { found: await textOf(page, '#told') };
  await page.getByRole('checkbox').nth(1).uncheck();
  await page.getByRole('button', { name: /^Send \d/ }).click();
  await until(page, '#told', /^Done/);
  Object.assign(seen.dropped, { done: await textOf(page, '#told'), states: await page.locator('#studies .state').allInnerTexts() });
  await looked(page, 'upload-phone');
}

const isRefusal = (message) => message.includes('Failed to load resource');
await withBrowser(async (within) => {
  await within({ viewport: { width: 1280, height: 860 } }, isRefusal, chosen);
  await within({ viewport: { width: 390, height: 780 }, colorScheme: 'dark' }, isRefusal, dropped);
});
