// Where metadata come from: an instance by WADO-RS, an image set by HealthImaging's own address.

import { TAG, first } from "../dicom.js";
import { askJson, askRows, root } from "../gateway.js";
import { addressOf } from "../places.js";
import { ofDataSet, ofImageSet } from "./nodes.js";

/** [{title, key, ...}] of a series: its image sets, then its instances. */
export async function sourcesOf(place) {
  const series = { base: place.base, study: place.study, series: place.series };
  const [sets, rows] = await Promise.all([
    askJson(addressOf(series, "image-sets")),
    askRows(addressOf(series, "instances")),
  ]);
  const one = sets.length === 1;
  return [
    ...rows.map((row) => instanceOf(series, row)),
    ...sets.map((set) => ({ ...set, key: set.imageSetId, title: one ? "Image set" : `Image set ${set.imageSetId}` })),
  ];
}

function instanceOf(series, row) {
  const instance = first(row, TAG.instance);
  const number = first(row, TAG.instanceNumber);
  return { key: instance, instance, series, title: number === undefined ? `Instance ${instance}` : `Instance ${number}` };
}

function imageSetAddress({ datastoreId, imageSetId }, operation, version) {
  const address = `${root}/datastore/${datastoreId}/imageSet/${imageSetId}/${operation}`;
  return version ? `${address}?version=${encodeURIComponent(version)}` : address;
}

/** The latest version of an image set as a number, null for an instance or where nobody counts them; notes whether it is primary. */
export async function latestOf(source) {
  if (!source.imageSetId) return null;
  const properties = await askJson(imageSetAddress(source, "getImageSet"));
  // who does not see the whole data store is not told, and changes what is of the study alone
  source.isPrimary = properties.isPrimary !== false;
  return /^[0-9]{1,6}$/.test(properties.versionId ?? "") ? Number(properties.versionId) : null;
}

/** {raw, nodes, address} of a source, of an image set at `version`. */
export async function documentOf(source, version, dictionary) {
  if (source.imageSetId) {
    const address = imageSetAddress(source, "getImageSetMetadata", version);
    const raw = await askJson(address);
    return { raw, address, nodes: ofImageSet(raw, dictionary) };
  }
  const address = addressOf({ ...source.series, instance: source.instance }, "metadata");
  const raw = await askJson(address);
  return { raw, address, nodes: ofDataSet(raw[0], dictionary) };
}
