import type { Json, JsonObject } from '../../src/core/canonical-json.ts';
import { asObject, asText, firstMember, storable } from '../../src/core/json-fields.ts';

export type Counts = Record<string, number>;

/** More different values than this are no vocabulary: the rest is counted together. */
const VALUES_MAX = 64;
const VALUE_LENGTH_MAX = 120;
const REST = '(other)';
const NONE = '(none)';

/** How often each value occurs; items without one count as `(none)`. */
export function countBy(items: readonly Json[], value: (item: JsonObject) => Json | undefined): Counts {
  const counts = new Map<string, number>();
  for (const item of items) {
    const object = asObject(item);
    const text = object === null ? NONE : (asText(value(object)) ?? NONE);
    const key = text.length <= VALUE_LENGTH_MAX && (counts.has(text) || counts.size < VALUES_MAX) ? text : REST;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What a summary says of the same counts, where it says anything. */
export function claimedCounts(document: Json | undefined, ...dotted: string[]): Counts | null {
  const claimed = asObject(firstMember(document, ...dotted));
  if (claimed === null) return null;
  const numbers = Object.entries(claimed).filter((entry): entry is [string, number] => typeof entry[1] === 'number');
  return Object.fromEntries(numbers.slice(0, VALUES_MAX).map(([key, count]) => [storable(key), count]));
}

/** Zero and absent mean the same: a summary may list values that do not occur. */
export function sameCounts(a: Counts, b: Counts): boolean {
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].every((key) => (a[key] ?? 0) === (b[key] ?? 0));
}

export function sayCounts(counts: Counts): string {
  const said = Object.entries(counts).map(([value, count]) => `${value} ${count}`);
  return said.length === 0 ? 'none' : said.join(', ');
}
