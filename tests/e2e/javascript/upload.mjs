// Drives the upload page of somebody who is logged in.

import { get } from 'node:http';
import { another, expect, looked, seen, task, textOf, until } from './driving.mjs';

const SURE = 14;

/** Log in with the form that `page` shows. */
export async function logIn(page, password = task.password) {
  await page.getByLabel('User name').fill(task.user);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

/** The user ends all logins, in another browser; then until no process of the gateway knows that of `page` any more. */
async function endLogin(page) {
  const elsewhere = await another();
  await elsewhere.goto(`${task.root}/pages/account`);
  await logIn(elsewhere);
  await elsewhere.getByRole('button', { name: 'Log out everywhere' }).click();
  await elsewhere.waitForURL(`${task.root}/`);
  await elsewhere.context().close();
  const cookie = (await page.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const status = () =>
    new Promise((answered, failed) => {
      // connections of their own reach any of the processes
      get(`${task.root}/session`, { headers: { cookie }, agent: false }, (answer) => {
        answer.resume();
        answered(answer.statusCode);
      }).on('error', failed);
    });
  for (let refused = 0; refused < SURE; ) {
    refused = (await status()) === 401 ? refused + 1 : 0;
    if (!refused) await new Promise((later) => setTimeout(later, 100));
  }
}

/** A folder with bad files: looked at, sent through a lost connection and a login that ends, seen to the end. */
export async function chosen(page) {
  seen.upload = { posts: [] };
  const { upload } = seen;
  await page.goto(`${task.root}/pages/upload`);
  await looked(page, 'upload-empty');
  await page.locator('#folder-input').setInputFiles(task.folder);
  await until(page, '#told', /found/);
  upload.found = await textOf(page, '#told');
  upload.rows = await page.locator('#studies tr').allInnerTexts();
  upload.refused = await page.locator('#refused-files tbody tr').allInnerTexts();
  await looked(page, 'upload-found');
  await page.evaluate(() => {
    window.toldOf = [];
    window.gone = [];
    const watch = (id, note) => new MutationObserver(note).observe(document.getElementById(id), { childList: true, attributes: true });
    watch('told', () => window.toldOf.push(document.getElementById('told').textContent));
    watch('progress', () => window.gone.push(document.getElementById('progress').value));
  });
  const isPost = (request) => request.method() === 'POST' && request.url().endsWith('/studies');
  let stored;
  const isStored = new Promise((answered) => (stored = answered));
  page.on('response', (response) => {
    if (!isPost(response.request())) return;
    upload.posts.push(response.status());
    stored();
  });
  let [posts, isLost] = [0, false];
  expect(401, 'ERR_FAILED');
  await page.route('**/studies', async (route) => {
    if (!isPost(route.request())) return route.continue();
    posts += 1;
    if (posts === 1) {
      isLost = true;
      return route.abort();
    }
    if (posts === 3) {
      await isStored;
      await endLogin(page);
      await looked(page, 'upload-sending');
    }
    return route.continue();
  });
  await page.route('**/session', (route) => {
    if (!isLost) return route.continue();
    isLost = false;
    return route.abort();
  });
  await page.getByRole('button', { name: /^Send \d+ files/ }).press('Enter');
  await page.getByRole('heading', { name: 'Your login has ended' }).waitFor();
  await until(page, '#told', /login has ended/);
  upload.kept = await textOf(page, '#figures');
  const [beside] = await Promise.all([page.waitForEvent('popup'), page.getByRole('link', { name: 'Log in in a new tab' }).click()]);
  await beside.getByLabel('User name').waitFor();
  await logIn(beside);
  upload.beside = await beside.getByText('Close this tab').innerText();
  await beside.close();
  await until(page, '#told', /^Done/);
  // of a request of which nothing could be stored
  expect(409);
  upload.told = await page.evaluate(() => window.toldOf);
  upload.gone = await page.evaluate(() => window.gone);
  upload.states = await page.locator('#studies .state').allInnerTexts();
  upload.failed = await page.locator('#failed-files tbody tr').allInnerTexts();
  await looked(page, 'upload-done');
  const answered = page.waitForResponse((response) => isPost(response.request()));
  await page.getByRole('button', { name: 'Send them again' }).click();
  upload.sentAgain = (await answered).status();
  await page.locator('#failed-files tbody tr').waitFor();
  await until(page, '#told', /^Done/);
  expect();
  await page.unrouteAll();
  await page.getByRole('link', { name: /Look at/ }).first().click();
  await page.waitForSelector('#studies .open');
  upload.shown = await page.locator('#studies .open').allInnerTexts();
}

/** A folder that is dropped, for the second service; one study of it is not wanted. */
export async function dropped(page) {
  await page.goto(`${task.root}/pages/upload`);
  await page.locator('#drop').waitFor();
  const devtools = await page.context().newCDPSession(page);
  const data = { items: [], files: [task.more], dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop']) {
    await devtools.send('Input.dispatchDragEvent', { type, x: 100, y: 200, data });
  }
  await until(page, '#told', /found/);
  seen.dropped = { found: await textOf(page, '#told') };
  await page.getByLabel('Service').selectOption('/second');
  await page.locator(`tr[data-study="${task.unwanted}"]`).getByRole('checkbox').uncheck();
  await page.getByRole('button', { name: /^Send \d/ }).click();
  await until(page, '#told', /^Done/);
  Object.assign(seen.dropped, { done: await textOf(page, '#told'), states: await page.locator('#studies .state').allInnerTexts() });
  await looked(page, 'upload-phone');
  await page.getByRole('button', { name: 'Empty the list' }).click();
  await page.locator('#list').waitFor({ state: 'hidden' });
}

/** What no browser shows as a picture, by the second service: a film, one that is none, and what nobody can decode. */
export async function unseen(page) {
  await page.goto(`${task.root}/pages/studies`);
  await page.locator('#studies .open').first().waitFor();
  await page.getByLabel('Service').selectOption('/second');
  await page.getByLabel('Patient ID').fill('UP-3');
  await page.keyboard.press('Enter');
  await until(page, '#told', /^3 studies$/);
  seen.unseen = { address: page.url().slice(task.root.length) };
  for (const study of await page.locator('#studies .open').all()) await study.click();
  await page.waitForFunction(() => document.querySelectorAll('.series .picture:not(:has(img))').length === 3);
  const ways = await page.$$eval('.series div a[href*="/stack?"]', (all) => all.map((one) => one.href));
  seen.unseen.ways = ways.map((way) => new URL(way).searchParams.get('base'));
  const to = (study) => ways.find((way) => way.includes(`study=${study}&`));
  await page.goto(to(task.film));
  await page.waitForFunction(() => document.querySelector('video')?.readyState >= 1);
  seen.unseen.film = await page.locator('video').evaluate((film) => [film.videoWidth, film.videoHeight]);
  await looked(page, 'stack-video');
  await page.goto(to(task.unplayable));
  await until(page, '#message', /cannot play/);
  await looked(page, 'stack-unplayable');
  const [saved] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name: 'Save it as a file' }).click()]);
  seen.unseen.saved = [saved.suggestedFilename(), await saved.failure()];
  await page.goto(to(task.undecodable));
  await page.locator('#message').waitFor();
  seen.unseen.message = await textOf(page, '#message');
}
