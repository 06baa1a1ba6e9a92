// JavaScript's DICOMweb clients behind a pipe: a call is one line of JSON on stdin, its outcome one on stdout.
//
// {"client": "0.11.3" | "0.10.4", "url": base, "method": name, "options": {...}, "settings": {...}}
// {"cornerstone": "pixels", "uri": frame, "accept": type | null, "retrieve": {...}, "ranges": [index, ...]}
// {"cornerstone": "decode", "codestream": base64, "level": n}
// {"cornerstone": "modules", "uri": frame, "metadata": DICOM JSON of the instance, "types": [module]}
//
// Bytes come back as {"base64", "contentType", "transferSyntaxUID"}, the latter as the client noted them. Node has no XMLHttpRequest: xhr2's is
// used. Whatever the clients print goes to stderr, so that stdout holds outcomes only.

import { createInterface } from 'node:readline';
import { readFile } from 'node:fs/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import path from 'node:path';
import xhr2 from 'xhr2';

globalThis.XMLHttpRequest = xhr2.XMLHttpRequest;
console.log = console.warn = console.info = console.debug = console.error;

const packages = fileURLToPath(new URL('node_modules', import.meta.url));
const loader = path.join(packages, '@cornerstonejs/dicom-image-loader/dist/esm');
const fromLoader = (file) => import(pathToFileURL(path.join(loader, file)));

const clients = {
  '0.11.3': async () => (await import('dicomweb-client')).default.api.DICOMwebClient,
  '0.10.4': async () => (await import('dicomweb-client-of-ohif')).default.api.DICOMwebClient,
};

function plain(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) {
    const bytes = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : Buffer.from(value);
    const { contentType, transferSyntaxUID } = value;
    return { contentType, transferSyntaxUID, base64: bytes.toString('base64') };
  }
  return Array.isArray(value) ? value.map(plain) : value;
}

async function dicomwebClient({ client: version, url, method, options = {}, settings = {} }) {
  const DICOMwebClient = await clients[version]();
  const sent = [];
  const progress = [];
  const client = new DICOMwebClient({
    ...settings,
    url,
    verbose: false,
    requestHooks: [(request, metadata) => (sent.push({ ...metadata }), request)],
  });
  const request = {
    progressCallback: ({ loaded, total, lengthComputable }) => progress.push({ loaded, total, lengthComputable }),
  };
  const result = await client[method]({ ...options, request });
  return { result: plain(result), sent, progress };
}

async function* retrieved(getPixelData, options, { uri, accept, retrieve = {}, ranges }) {
  const { utilities } = await import('@cornerstonejs/core');
  const imageId = `wadors:${uri}`;
  for (const rangeIndex of ranges ?? [undefined]) {
    options.retrieveOptions = { ...retrieve, ...(ranges && { rangeIndex }) };
    const answer = getPixelData(uri, imageId, accept ?? undefined, options);
    for await (const step of utilities.ProgressiveIterator.as(answer)) {
      yield step;
    }
  }
}

async function pixels(call) {
  const { default: getPixelData } = await fromLoader('imageLoader/wadors/getPixelData.js');
  const { getTransferSyntaxForContentType } = await fromLoader('imageLoader/wadors/loadImage.js');
  const options = {};
  const steps = [];
  let last;
  for await (const step of retrieved(getPixelData, options, call)) {
    last = step;
    const { contentType, extractDone, percentComplete, done, pixelData } = step;
    steps.push({ contentType, extractDone, percentComplete, done, bytes: pixelData.byteLength });
  }
  return {
    steps,
    pixels: plain(last.pixelData),
    contentType: last.contentType,
    transferSyntax: getTransferSyntaxForContentType(last.contentType),
    totalBytes: options.streamingData?.totalBytes,
  };
}

async function decode({ codestream, level = 0 }) {
  const { default: factory } = await import('@cornerstonejs/codec-openjph/wasmjs');
  const wasmBinary = await readFile(path.join(packages, '@cornerstonejs/codec-openjph/dist/openjphjs.wasm'));
  const codec = await factory({ wasmBinary });
  const decoder = new codec.HTJ2KDecoder();
  const bytes = Buffer.from(codestream, 'base64');
  decoder.getEncodedBuffer(bytes.length).set(bytes);
  decoder.decodeSubResolution(level);
  const outcome = { frame: { ...decoder.getFrameInfo() }, pixels: plain(decoder.getDecodedBuffer()) };
  decoder.delete();
  return outcome;
}

async function modules({ uri, metadata, types }) {
  const { default: manager } = await fromLoader('imageLoader/wadors/metaDataManager.js');
  const { default: provider } = await fromLoader('imageLoader/wadors/metaData/metaDataProvider.js');
  manager.add(`wadors:${uri}`, metadata);
  return Object.fromEntries(types.map((type) => [type, provider(type, `wadors:${uri}`)]));
}

const cornerstone = { pixels, decode, modules };

async function outcomeOf(call) {
  return call.client ? dicomwebClient(call) : cornerstone[call.cornerstone](call);
}

for await (const line of createInterface({ input: process.stdin })) {
  let outcome;
  try {
    outcome = await outcomeOf(JSON.parse(line));
  } catch (error) {
    // cornerstone rejects with the XMLHttpRequest itself
    outcome = { error: String(error?.message ?? error), status: error?.status ?? null };
  }
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
