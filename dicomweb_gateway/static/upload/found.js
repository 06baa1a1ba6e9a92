// The files that were dropped or chosen, folders with all that is in them: {file, path}.

/** Files of a drop, one after the other; call it while the event lasts: later there is nothing to ask. */
export function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  return entries.length ? walked(entries) : chosen(transfer.files);
}

/** Files of an input. */
export async function* chosen(files) {
  for (const file of files) yield { file, path: file.webkitRelativePath || file.name };
}

async function* walked(entries) {
  for (const entry of entries) {
    const path = entry.fullPath.replace(/^\//, "");
    if (entry.isDirectory) yield* inside(entry, path);
    else yield { path, file: await new Promise((done) => entry.file(done, () => done(null))) };
  }
}

async function* inside(folder, path) {
  const reader = folder.createReader();
  try {
    for (;;) {
      // a reader gives a hundred at a time
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return;
      yield* walked(some);
    }
  } catch {
    yield { path: `${path}/`, file: null };
  }
}
