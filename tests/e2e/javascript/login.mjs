// Logs in to a gateway's pages in Chromium, has the login end while a page is open, and writes what it saw as JSON.
//
// stdin: {chromium, profile, root, user, password, patience, shots}
//   root is the gateway's; patience is in milliseconds; shots is a folder for pictures, or null.
// stdout: {login, account, facts, told, keyboard, ended, again, left, failures, errors}
//   the addresses that the browser stood at, what pages showed, and what went wrong that should not.

import { text } from 'node:stream/consumers';
import { chromium } from 'playwright-core';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];

const task = JSON.parse(await text(process.stdin));
const seen = { failures: [], errors: [] };
const context = await chromium.launchPersistentContext(task.profile, {
  executablePath: task.chromium,
  args: FLAGS,
  headless: true,
});
context.setDefaultTimeout(task.patience);
let expected = [];

function watched(page) {
  page.on('response', (response) => {
    if (response.status() >= 400 && !expected.includes(response.status())) {
      seen.failures.push(`${response.url()}: ${response.status()}`);
    }
  });
  page.on('pageerror', (error) => seen.errors.push(String(error)));
  page.on('console', (message) => {
    const refused = expected.some((status) => message.text().includes(`status of ${status}`));
    if (message.type() === 'error' && !refused) {
      seen.errors.push(message.text());
    }
  });
  return page;
}

async function shot(page, name) {
  if (task.shots) {
    await page.screenshot({ path: `${task.shots}/${name}.png`, fullPage: true });
  }
}

async function logIn(page, password) {
  await page.getByLabel('User name').fill(task.user);
  await page.getByLabel('Password').fill(password);
  await page.keyboard.press('Enter');
}

const path = (page) => page.url().slice(task.root.length);

const page = watched(context.pages()[0] ?? (await context.newPage()));
await page.goto(`${task.root}/pages/account`);
seen.login = path(page);
await shot(page, 'login');
expected = [401];
await logIn(page, 'a wrong password');
seen.told = await page.getByRole('alert').textContent();
await shot(page, 'wrong');
expected = [];
await logIn(page, task.password);
await page.waitForURL('**/pages/account');
await page.locator('#facts dt').first().waitFor();
seen.account = path(page);
seen.facts = await page.locator('#facts').innerText();
await shot(page, 'account');
await page.emulateMedia({ colorScheme: 'dark' });
await shot(page, 'account-dark');
await page.setViewportSize({ width: 360, height: 640 });
await shot(page, 'account-narrow-dark');
await page.emulateMedia({ colorScheme: 'light' });
await page.setViewportSize({ width: 1280, height: 720 });
await page.goto(`${task.root}/`);
await shot(page, 'home');
await page.keyboard.press('Tab');
seen.keyboard = await page.evaluate(() => document.activeElement.textContent);
await page.goto(`${task.root}/pages/account`);
await page.locator('#everywhere').waitFor();

// the login ends while the page is open: by the cookie's loss, as by its end
const cookies = await context.cookies();
await context.clearCookies();
expected = [401];
await page.getByRole('button', { name: 'Log out everywhere' }).click();
seen.ended = await page.getByRole('dialog').innerText();
await shot(page, 'ended');
const [popup] = await Promise.all([context.waitForEvent('page'), page.getByRole('link', { name: 'Log in in a new tab' }).click()]);
watched(popup);
await popup.waitForURL('**/login?next=*');
expected = [];
await logIn(popup, task.password);
await popup.waitForURL('**/pages/account');
await popup.close();
await page.bringToFront();
await page.evaluate(() => window.dispatchEvent(new Event('focus')));
await page.getByRole('dialog').waitFor({ state: 'detached' });
// the page that stood open goes on with the new login, and its proof
const answered = page.waitForResponse('**/logout');
await page.getByRole('button', { name: 'Log out everywhere' }).click();
seen.again = (await answered).status();
await page.waitForURL(`${task.root}/`);
await page.goto(`${task.root}/login`);
await logIn(page, task.password);
await page.getByRole('button', { name: 'Log out', exact: true }).click();
await page.getByRole('heading', { name: 'You have logged out' }).waitFor();
await shot(page, 'left');
seen.left = await page.evaluate(async () => (await fetch('/healthcheck')).status);
seen.cookies = [...cookies, ...(await context.cookies())].map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }));
await context.close();
process.stdout.write(JSON.stringify(seen));
