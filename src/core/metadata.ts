import { canonicalJson, type Json, type JsonObject } from './canonical-json.ts';
import { StoreError } from './errors.ts';

export const METADATA_MAX_BYTES = 256 * 1024;
export const METADATA_MAX_DEPTH = 32;
const INDEXED_VALUE_MAX = 512;
const FIELD_SHOWN = 200;

function refuse(where: string, message: string): never {
  const field = where.slice(0, FIELD_SHOWN).toWellFormed();
  throw new StoreError('invalid_metadata', `${field} ${message}.`, { errors: [{ field, message }] });
}

function refuseSize(): never {
  refuse('metadata', `has more than ${METADATA_MAX_BYTES} bytes; at most that many are kept: store the rest as a file`);
}

function checkText(text: string, field: string): void {
  // PostgreSQL's jsonb and text refuse both; a package must be the same on every registry.
  if (text.includes('\u0000')) refuse(field, 'holds the character U+0000, which cannot be kept');
  if (!text.isWellFormed()) refuse(field, 'holds half of a surrogate pair, which is no Unicode text');
}

/**
 * Checks metadata and gives its canonical text. Walks with a stack of its own, so that no depth of nesting can
 * exhaust ours. @throws StoreError invalid_metadata, naming the member
 */
export function canonicalMetadata(metadata: JsonObject): string {
  const pending: Array<{ value: unknown; field: string; depth: number }> = [
    { value: metadata, field: 'metadata', depth: 0 },
  ];
  let characters = 0;
  const count = (text: string): void => {
    characters += text.length;
    if (characters > METADATA_MAX_BYTES) refuseSize();
  };
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const { value, field, depth } = entry;
    // Every value has a character at least, so the walk is no longer than the limit, whatever was sent.
    count(typeof value === 'string' ? value : ' ');
    if (typeof value === 'string') checkText(value, field);
    if (typeof value === 'number' && !Number.isFinite(value)) refuse(field, 'is a number that JSON cannot keep');
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= METADATA_MAX_DEPTH) refuse(field, `is nested deeper than ${METADATA_MAX_DEPTH} levels`);
    for (const [key, member] of Object.entries(value)) {
      count(key);
      checkText(key, `a key of ${field}`);
      pending.push({ value: member, field: `${field}.${key}`.slice(0, FIELD_SHOWN), depth: depth + 1 });
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
