// Drives our own pages in Chromium and writes what it saw as JSON.
//
// stdin: what driving.mjs reads, and {root, studies: {stack, large, cine, hostile}}
//   root is the gateway's; studies are UIDs: of a CT of 12 slices, of one large slice, of a colour cine, and of one
//   with scripts in its names.
// stdout: what driving.mjs writes, and {list, stack, large, cine, hostile, metadata, edit, walked, samples, status}

import { done, figures, looked, seen, tabTo, task, textOf, until, within } from './driving.mjs';

const FULL = /Level (\d+) of \1,/;
Object.assign(seen, { list: {}, stack: {} });

const names = (page) => page.locator('#studies .open').allInnerTexts();

async function listed(page) {
  await page.goto(`${task.root}/pages/studies`);
  await page.waitForSelector('#studies .open');
  seen.list.all = await names(page);
  await page.getByRole('button', { name: 'Patient', exact: true }).click();
  await page.waitForSelector('#studies th[aria-sort="ascending"]');
  await until(page, '#told', /stud/);
  seen.list.byName = await names(page);
  await page.getByLabel('Patient name').fill('synth');
  await page.keyboard.press('Enter');
  await until(page, '#told', /^2 studies$/);
  seen.list.found = await names(page);
  await page.locator(`tr[data-study="${task.studies.stack}"] .open`).press('Enter');
  await page.waitForFunction(() => document.querySelector('.series img')?.naturalWidth > 0);
  seen.list.series = await page.locator('.series > li').count();
  seen.list.weasis = await page.getByRole('link', { name: 'Open in Weasis' }).getAttribute('href');
  seen.list.stack = await page.locator('.series div a').first().getAttribute('href');
  await looked(page, 'studies');
  await page.goBack();
  await until(page, '#told', /^\d+ studies$/);
  await page.goto(`${task.root}/pages/studies?rows=5`);
  await until(page, '#place', /^1 to 5$/);
  const first = await names(page);
  await page.getByRole('button', { name: 'Next' }).click();
  await until(page, '#place', /^6 to 10$/);
  seen.list.pages = [first, await names(page)];
  await page.goto(`${task.root}/pages/studies?PatientName=nobody`);
  await until(page, '#told', /^No study matches/);
}

/** What is on the canvas at one pixel for one of the image, as grey levels. */
const drawn = (page) =>
  page.evaluate(async () => {
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    const canvas = document.getElementById('canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return Array.from({ length: data.length / 4 / 64 }, (_, at) => data[at * 256]);
  });

const apart = (one, other) => one.reduce((sum, value, at) => sum + Math.abs(value - other[at]), 0) / one.length;

async function opened(page, study) {
  await page.goto(`${task.root}/pages/stack?study=${study}`);
  await until(page, '#how', FULL);
}

async function stacked(page) {
  const { stack } = seen;
  await opened(page, task.studies.stack);
  stack.where = [await textOf(page, '#where')];
  stack.levels = await page.locator('#level option').allInnerTexts();
  await page.locator('#canvas').focus();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('PageDown');
  stack.where.push(await textOf(page, '#where'));
  await page.keyboard.press('Home');
  await page.mouse.move(500, 400);
  await page.mouse.wheel(0, 100);
  stack.where.push(await textOf(page, '#where'));
  await page.locator('#slider').fill('5');
  stack.where.push(await textOf(page, '#where'));
  await until(page, '#how', FULL);
  await page.locator('#canvas').focus();
  const original = await drawn(page);
  stack.windows = [await textOf(page, '#how')];
  await page.mouse.down();
  await page.mouse.move(560, 430, { steps: 4 });
  await page.mouse.up();
  stack.windows.push(await textOf(page, '#how'));
  await page.locator('#presets').selectOption({ label: 'Lung' });
  stack.windows.push(await textOf(page, '#how'));
  stack.lung = apart(original, await drawn(page));
  await page.locator('#canvas').focus();
  await page.keyboard.press('0');
  stack.reset = apart(original, await drawn(page));
  for (const key of 'rhvi') {
    await page.keyboard.press(key);
    stack[key] = apart(original, await drawn(page));
  }
  await page.keyboard.press('0');
  for (let turn = 0; turn < 4; turn += 1) await page.getByRole('button', { name: 'Rotate left' }).click();
  stack.turnedRound = apart(original, await drawn(page));
  await page.getByRole('button', { name: '1:1' }).click();
  stack.zoomed = await textOf(page, '#where');
  await page.getByRole('button', { name: 'Fit' }).click();
  await page.getByRole('button', { name: 'Play' }).click();
  await page.waitForFunction((before) => document.getElementById('where').textContent !== before, await textOf(page, '#where'));
  await page.getByRole('button', { name: 'Stop' }).click();
  await looked(page, 'stack');
}

/** The ways to load one picture, and that they show the same. */
async function loaded(page) {
  await opened(page, task.studies.large);
  seen.large = { levels: { figures: await figures(page) } };
  const first = await drawn(page);
  for (const method of ['full', 'rendered']) {
    await page.locator('#method').selectOption(method);
    await until(page, '[data-figure="frames"]', /^1 of 1$/);
    seen.large[method] = { figures: await figures(page), apart: apart(first, await drawn(page)) };
  }
  await page.locator('#method').selectOption('levels');
  await page.locator('#level').selectOption('0');
  await until(page, '#how', /Level 0 of/);
  await until(page, '[data-figure="frames"]', /^1 of 1$/);
  seen.large.coarse = { how: await textOf(page, '#how'), apart: apart(first, await drawn(page)) };
}

/** A coarse picture stands while the full one is on its way, which is left when the stack goes on. */
async function hurried(page) {
  let release;
  const held = new Promise((done) => (release = done));
  await page.route(/\/levels\/last\?/, async (route) => {
    await held;
    await route.continue().catch(() => {});
  });
  await page.goto(`${task.root}/pages/stack?study=${task.studies.stack}`);
  await until(page, '#how', /Level 0 of/);
  const coarse = await figures(page);
  await page.locator('#ahead').selectOption('none');
  await page.locator('#canvas').focus();
  await page.keyboard.press('End');
  await until(page, '[data-figure="requests"]', /, [1-9]\d* left/);
  release();
  await until(page, '#how', FULL);
  seen.hurried = { coarse, full: await figures(page), where: await textOf(page, '#where') };
  await page.unroute(/\/levels\/last\?/);
}

async function cined(page) {
  await opened(page, task.studies.cine);
  await page.locator('#canvas').focus();
  await page.keyboard.press('ArrowRight');
  await until(page, '#where', /Frame 2 of/);
  await until(page, '#how', FULL);
  seen.cine = { where: await textOf(page, '#where'), rate: await page.locator('#rate').inputValue() };
  await page.keyboard.press('Space');
  await until(page, '#where', /Frame (?:[5-9]|1\d) of/);
  await page.keyboard.press('Space');
  seen.cine.play = await textOf(page, '#play');
  seen.cine.coloured = await page.evaluate(() => {
    const canvas = document.getElementById('canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value, at) => at % 4 === 0 && Math.abs(value - data[at + 2]) > 40);
  });
}

/** A caller who may have pictures but no pixels asks for pictures only. */
async function limited(page) {
  // nothing that the page before still asks for is counted
  await page.goto('about:blank');
  const asked = [];
  const note = (request) => /\/(levels|rendered)/.test(request.url()) && asked.push(request.url().replace(/.*\/frames\/\d+\//, ''));
  page.on('request', note);
  await page.route('**/pages/stack?*', async (route) => {
    const answer = await route.fetch();
    const body = (await answer.text()).replace(/data-may="[^"]*"/, 'data-may="search rendered"');
    await route.fulfill({ response: answer, body });
  });
  await page.goto(`${task.root}/pages/stack?study=${task.studies.large}`);
  await until(page, '[data-figure="frames"]', /^1 of 1$/);
  seen.limited = { asked, methods: await page.locator('#method option:enabled').allInnerTexts() };
  await page.unroute('**/pages/stack?*');
  page.off('request', note);
}

async function described(page) {
  const { hostile } = task.studies;
  await page.goto(`${task.root}/pages/studies?${new URLSearchParams({ PatientName: '<script>' })}`);
  await page.locator('#studies .open').click();
  await page.waitForFunction(() => document.querySelector('.series img')?.naturalWidth > 0);
  const listed = await textOf(page, '#studies');
  await looked(page, 'studies-hostile');
  await opened(page, hostile);
  seen.hostile = { listed, who: await textOf(page, '#who'), what: await textOf(page, '#what') };
  await page.goto(`${task.root}/pages/metadata?study=${hostile}`);
  await until(page, '#tree', /Patient ID/);
  const rows = await page.locator('#tree tbody tr').count();
  await page.getByLabel('Search').fill('rescale ds');
  await until(page, '#told', /match/);
  seen.metadata = { rows, told: await textOf(page, '#told'), hits: await page.locator('#tree tbody tr').allInnerTexts() };
  await page.getByLabel('Search').fill('');
  await until(page, '#told', /^$/);
  await page.locator('#source').selectOption({ label: 'Image set' });
  await until(page, '#tree', /SchemaVersion/);
  seen.metadata.versions = await page.locator('#version option').allInnerTexts();
  await page.getByRole('button', { name: 'Patient' }).click();
  await page.locator('[data-depth="1"] button').first().click();
  await until(page, '#tree', /Patient's Name/);
  seen.metadata.opened = await textOf(page, '#tree');
  await page.locator('#tree button').first().click();
  seen.metadata.closed = await textOf(page, '#tree');
  await page.locator('#other').selectOption('1');
  await until(page, '#differences', /Changed/);
  seen.metadata.changes = await textOf(page, '#differences');
  await page.locator('#version').selectOption('1');
  await until(page, '#differences', /the same/);
  await page.locator('#raw summary').click();
  await until(page, '#raw pre', /SchemaVersion/);
  seen.metadata.raw = JSON.parse(await textOf(page, '#raw pre')).Patient.DICOM.PatientName;
  await looked(page, 'metadata');
  await edited(page);
}

/** The study's description, written anew: first left as it is, then changed. */
async function edited(page) {
  await page.goto(`${task.root}/pages/metadata?study=${task.studies.hostile}`);
  await until(page, '#tree', /Patient ID/);
  await page.locator('#source').selectOption({ label: 'Image set' });
  await page.locator('#editing summary').click();
  const field = page.getByLabel('Study Description');
  await field.fill('<b>Edited</b>');
  await page.getByRole('button', { name: 'Show what will change' }).click();
  await until(page, '#planned', /Edited/);
  seen.edit = { planned: await textOf(page, '#planned'), limits: await textOf(page, '#limits') };
  await looked(page, 'metadata-edit');
  await page.getByRole('button', { name: 'Leave as it is' }).click();
  seen.edit.left = await field.inputValue();
  await page.getByRole('button', { name: 'Show what will change' }).click();
  await until(page, '#planned', /Edited/);
  await page.getByRole('button', { name: 'Change', exact: true }).click();
  await until(page, '#told', /^Changed/);
  seen.edit.told = await textOf(page, '#told');
  await page.goto(`${task.root}/pages/metadata?study=${task.studies.hostile}`);
  await until(page, '#tree', /<b>Edited/);
  await revertedTo(page, '2');
}

/** An earlier version of the image set, made the latest again after a question. */
async function revertedTo(page, version) {
  await page.locator('#source').selectOption({ label: 'Image set' });
  await page.locator('#version').selectOption(version);
  await page.getByRole('button', { name: 'Make this version the latest again' }).click();
  await until(page, '#planned', /Edited/);
  seen.edit.reverting = await textOf(page, '#planned');
  await looked(page, 'metadata-revert');
  await page.getByRole('button', { name: 'Change', exact: true }).press('Enter');
  await until(page, '#told', /^Changed/);
  seen.edit.reverted = await textOf(page, '#told');
}

/** A finger that drags upwards over the picture, and two that part. */
async function touched(page) {
  await opened(page, task.studies.stack);
  const fingers = await page.context().newCDPSession(page);
  const { x, y, width, height } = await page.locator('#canvas').boundingBox();
  const touch = (type, ...points) =>
    fingers.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([dx, dy], id) => ({ id, x: x + width / 2 + dx, y: y + height / 2 + dy })) });
  await touch('touchStart', [0, 0]);
  for (const way of [20, 40, 60]) await touch('touchMove', [0, way]);
  await touch('touchEnd');
  await until(page, '#where', /Image 3 of/);
  await touch('touchStart', [-20, 0], [20, 0]);
  for (const way of [30, 40]) await touch('touchMove', [-way, 0], [way, 0]);
  await touch('touchEnd');
  await until(page, '#where', /Zoom (1[5-9]|2)\d/);
  seen.touched = await textOf(page, '#where');
}

/** From a search to a window with nothing but keys. */
async function walked(page) {
  await page.goto(`${task.root}/pages/studies`);
  await page.waitForSelector('#studies .open');
  await tabTo(page, '[name="PatientName"]');
  await page.keyboard.type('synth');
  await page.keyboard.press('Enter');
  await until(page, '#told', /^2 studies$/);
  await tabTo(page, `tr[data-study="${task.studies.stack}"] .open`);
  await page.keyboard.press('Space');
  await page.waitForSelector('.series a');
  await tabTo(page, '.series div a');
  await page.keyboard.press('Enter');
  await until(page, '#how', FULL);
  await tabTo(page, '#canvas');
  await page.keyboard.press('ArrowDown');
  await until(page, '#where', /Image 2 of/);
  await tabTo(page, '#play');
  await page.keyboard.press('Shift+Tab');
  seen.walked = [await textOf(page, '#where'), await textOf(page, '#how')];
  await page.keyboard.press('2');
  seen.walked.push(await textOf(page, '#how'));
}

/** All studies open, and every series that has a picture on the stage: nothing fails and nothing is complained of. */
async function sampled(page) {
  await page.goto(`${task.root}/pages/studies?rows=100`);
  await page.waitForSelector('#studies .open');
  for (const study of await page.locator('#studies .open').all()) await study.click();
  await page.waitForFunction(() => document.querySelectorAll('.series').length === document.querySelectorAll('#studies .open').length);
  for (const card of await page.locator('.series > li').all()) {
    await card.scrollIntoViewIfNeeded();
    await page.waitForFunction((one) => [...one.querySelectorAll('img')].every((image) => image.naturalWidth), await card.elementHandle());
  }
  const stacks = await page.$$eval('.series div a[href*="/stack?"]', (all) => all.map((one) => one.href));
  seen.samples = { pictures: await page.locator('.series img').count(), stacks: stacks.length, shown: 0 };
  for (const address of stacks) {
    await page.goto(address);
    await page.waitForFunction(() => /full|\d × \d/.test(document.getElementById('how').textContent) || !document.getElementById('message').hidden);
    seen.samples.shown += (await page.locator('#message').isHidden()) ? 1 : 0;
  }
}

async function administered(page) {
  await page.goto(`${task.root}/`);
  await page.getByRole('navigation').getByRole('link', { name: 'Status' }).click();
  await page.getByRole('heading', { level: 1 }).waitFor();
  seen.status = await page.getByRole('heading').allInnerTexts();
  await looked(page, 'status');
  await page.goto(`${task.root}/`);
  await looked(page, 'home');
}

await within({}, listed, walked, stacked, loaded, hurried, cined, limited, described, sampled, administered);
await within({ viewport: { width: 390, height: 780 }, hasTouch: true, isMobile: true, colorScheme: 'dark' }, touched);
await done();
