// Logs in to a gateway's pages in Chromium, has the login end while a page is open and while files are on their way.
//
// stdin: what driving.mjs reads, and {root, user, password, folder, more, unwanted, film, unplayable, undecodable}
//   root is the gateway's; folder is chosen on the upload page, more is dropped there, without the study unwanted;
//   film, unplayable and undecodable are studies among those.
// stdout: what driving.mjs writes, and {login, account, facts, told, keyboard, ended, again, left, upload, dropped,
//   unseen}: the addresses that the browser stood at, and what pages showed.

import { done, expect, looked, seen, task, watched, within } from './driving.mjs';
import { chosen, dropped, logIn, unseen } from './upload.mjs';

const path = (page) => page.url().slice(task.root.length);

async function loggedIn(page) {
  await page.goto(`${task.root}/pages/account`);
  seen.login = path(page);
  await looked(page, 'login');
  expect(401);
  await logIn(page, 'a wrong password');
  seen.told = await page.getByRole('alert').textContent();
  await looked(page, 'login-wrong');
  expect();
  await logIn(page);
  await page.waitForURL(`${task.root}/pages/account`);
  await page.locator('#facts dt').first().waitFor();
  seen.account = path(page);
  seen.facts = await page.locator('#facts').innerText();
  await looked(page, 'account');
  await page.goto(`${task.root}/`);
  await page.keyboard.press('Tab');
  seen.keyboard = await page.evaluate(() => document.activeElement.textContent);
}

/** The login ends while the page is open: by the cookie's loss, as by its end. */
async function ended(page) {
  const context = page.context();
  await page.goto(`${task.root}/pages/account`);
  await page.locator('#everywhere').waitFor();
  seen.cookies = (await context.cookies()).map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }));
  await context.clearCookies();
  expect(401);
  await page.getByRole('button', { name: 'Log out everywhere' }).click();
  seen.ended = await page.getByRole('dialog').innerText();
  await looked(page, 'login-ended');
  const [popup] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Log in in a new tab' }).click()]);
  watched(popup);
  await popup.waitForURL('**/login?next=*');
  expect();
  await logIn(popup);
  await popup.waitForURL('**/pages/account?again=1');
  // told by the other tab, which has the focus still
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await popup.close();
  // the page that stood open goes on with the new login, and its proof
  const answered = page.waitForResponse('**/logout');
  await page.getByRole('button', { name: 'Log out everywhere' }).click();
  seen.again = (await answered).status();
  await page.waitForURL(`${task.root}/`);
  await page.goto(`${task.root}/login?next=/pages/account`);
  await logIn(page);
  await page.waitForURL(`${task.root}/pages/account`);
}

async function left(page) {
  await page.goto(`${task.root}/`);
  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.getByRole('heading', { name: 'You have logged out' }).waitFor();
  await looked(page, 'login-left');
  seen.left = await page.evaluate(async () => (await fetch('/healthcheck')).status);
}

await within({}, loggedIn, ended, chosen, dropped, unseen, left);
await done();
