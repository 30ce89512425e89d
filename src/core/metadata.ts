import { canonicalJson, type Json, type JsonObject } from './canonical-json.ts';
import { StoreError } from './errors.ts';

export const METADATA_MAX_BYTES = 256 * 1024;
export const METADATA_MAX_DEPTH = 32;
/** Members and elements on all levels together. Each one costs time: it is checked, and a scalar is indexed. */
export const METADATA_MAX_VALUES = 20_000;
const INDEXED_VALUE_MAX = 512;
const FIELD_SHOWN = 200;

/** A value of the metadata, and where it stands. */
interface Place {
  value: unknown;
  key: string;
  within: Place | null;
  depth: number;
}

function inside(within: Place, key: string, value: unknown): Place {
  return { value, key, within, depth: within.depth + 1 };
}

/** Only for messages: to build these names for every member would cost more than the checks. */
function fieldOf({ key, within }: Place): string {
  const keys = [key];
  for (let at = within; at !== null; at = at.within) keys.unshift(at.key);
  return keys.join('.');
}

function refuse(where: string, message: string): never {
  const field = where.slice(0, FIELD_SHOWN).toWellFormed();
  throw new StoreError('invalid_metadata', `${field} ${message}.`, { errors: [{ field, message }] });
}

function refuseSize(): never {
  refuse('metadata', `has more than ${METADATA_MAX_BYTES} bytes; at most that many are kept: store the rest as a file`);
}

/** @returns why PostgreSQL's jsonb and text refuse a text, so that a package is the same on every registry; or null */
function textProblem(text: string): string | null {
  if (text.includes('\u0000')) return 'contains the character U+0000, which cannot be stored';
  return text.isWellFormed() ? null : 'contains half of a surrogate pair, which is not Unicode text';
}

/**
 * Checks metadata and gives its canonical text. Walks with a stack of its own, so that no depth of nesting can
 * exhaust ours. @throws StoreError invalid_metadata, naming the member
 */
export function canonicalMetadata(metadata: JsonObject): string {
  const pending: Place[] = [{ value: metadata, key: 'metadata', within: null, depth: 0 }];
  let values = 0;
  let characters = 0;
  const countValues = (more: number): void => {
    values += more;
    if (values > METADATA_MAX_VALUES) refuse('metadata', `has more than ${METADATA_MAX_VALUES} values`);
  };
  const countText = (text: string): void => {
    characters += text.length;
    if (characters > METADATA_MAX_BYTES) refuseSize();
  };
  for (let place = pending.pop(); place !== undefined; place = pending.pop()) {
    const { value, depth } = place;
    if (typeof value === 'string') {
      countText(value);
      const problem = textProblem(value);
      if (problem !== null) refuse(fieldOf(place), problem);
    }
    if (typeof value === 'number' && !Number.isFinite(value)) {
      refuse(fieldOf(place), 'is a number that JSON cannot represent');
    }
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= METADATA_MAX_DEPTH) refuse(fieldOf(place), `is nested deeper than ${METADATA_MAX_DEPTH} levels`);
    // Counted before anything is allocated for each of them.
    const keys = Array.isArray(value) ? null : Object.keys(value);
    countValues(keys?.length ?? (value as unknown[]).length);
    if (keys === null) {
      for (const [index, member] of (value as unknown[]).entries()) pending.push(inside(place, String(index), member));
      continue;
    }
    for (const key of keys) {
      countText(key);
      const problem = textProblem(key);
      if (problem !== null) refuse(`a key of ${fieldOf(place)}`, problem);
      pending.push(inside(place, key, (value as Record<string, unknown>)[key]));
    }
  }
  const text = canonicalJson(metadata);
  if (Buffer.byteLength(text) > METADATA_MAX_BYTES) refuseSize();
  return text;
}

/**
 * The members that lists can be filtered by: scalars, named by the dotted path of their keys
 * (`{"run": {"id": "7"}}` → `run.id` = `7`). Arrays and texts over 512 characters are kept but not indexed.
 */
export function indexedScalars(metadata: JsonObject): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (value: Json, key: string): void => {
    if (Array.isArray(value)) return;
    if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) visit(member, key === '' ? name : `${key}.${name}`);
      return;
    }
    const text = String(value);
    if (key.length <= INDEXED_VALUE_MAX && text.length <= INDEXED_VALUE_MAX) found.set(key, text);
  };
  visit(metadata, '');
  return found;
}
