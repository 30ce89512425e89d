import { canonicalJson, type Json, type JsonObject } from './canonical-json.ts';
import { StoreError } from './errors.ts';

export const METADATA_MAX_BYTES = 256 * 1024;
export const METADATA_MAX_DEPTH = 32;
const INDEXED_VALUE_MAX = 512;

function refuse(field: string, message: string): never {
  throw new StoreError('invalid_metadata', `${field} ${message}.`, { errors: [{ field, message }] });
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
  for (let entry = pending.pop(); entry !== undefined; entry = pending.pop()) {
    const { value, field, depth } = entry;
    if (typeof value === 'string') checkText(value, field);
    if (typeof value !== 'object' || value === null) continue;
    if (depth >= METADATA_MAX_DEPTH) refuse(field.slice(0, 200), `is nested deeper than ${METADATA_MAX_DEPTH} levels`);
    for (const [key, member] of Object.entries(value)) {
      checkText(key, `a key of ${field}`);
      pending.push({ value: member, field: `${field}.${key}`, depth: depth + 1 });
    }
  }
  const text = canonicalJson(metadata);
  const bytes = Buffer.byteLength(text);
  if (bytes > METADATA_MAX_BYTES) {
    refuse('metadata', `has ${bytes} bytes; at most ${METADATA_MAX_BYTES} are kept: store the rest as a file`);
  }
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
