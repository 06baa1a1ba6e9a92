// What two versions of an image set's document differ in.

const MOST = 500;

/** {rows: [{path, before, after}], isAll}: members that differ; undefined where there is none. */
export function changesBetween(before, after) {
  const rows = [];
  const walk = (one, other, path) => {
    if (rows.length > MOST || one === other) return;
    if (isObject(one) && isObject(other)) {
      for (const key of new Set([...Object.keys(one), ...Object.keys(other)])) walk(one[key], other[key], [...path, key]);
    } else if (JSON.stringify(one) !== JSON.stringify(other)) rows.push({ path, before: one, after: other });
  };
  walk(before, after, []);
  return { rows: rows.slice(0, MOST), isAll: rows.length <= MOST };
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}
