import type { Json, JsonObject } from './canonical-json.ts';

/** Reading documents whose exact shape differs from version to version. Nothing here throws. */

export function asObject(value: Json | undefined): JsonObject | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : null;
}

/** The member at a dotted path of own keys. */
export function member(value: Json | undefined, dotted: string): Json | undefined {
  let current = value;
  for (const key of dotted.split('.')) {
    const object = asObject(current);
    if (object === null || !Object.hasOwn(object, key)) return undefined;
    current = object[key];
  }
  return current;
}

/** The first of the members that is there and not null. */
export function firstMember(value: Json | undefined, ...dotted: string[]): Json | undefined {
  for (const path of dotted) {
    const found = member(value, path);
    if (found !== undefined && found !== null) return found;
  }
  return undefined;
}

/** Texts as they are and numbers as texts; references may also be objects that name what they refer to. */
export function asText(value: Json | undefined): string | null {
  if (typeof value === 'string') return value === '' ? null : storable(value);
  if (typeof value === 'number') return String(value);
  const object = asObject(value);
  return object === null ? null : textOf(firstMember(object, 'ref', 'id', 'name', 'path'));
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' || typeof value === 'number' ? asText(value) : null;
}

export function firstText(value: Json | undefined, ...dotted: string[]): string | null {
  for (const path of dotted) {
    const found = asText(member(value, path));
    if (found !== null) return found;
  }
  return null;
}

/** A list as it is, or inside `{items: []}`, or inside a member with a name of its own (`{evidence: []}`). */
export function asList(value: Json | undefined, ...wrappers: string[]): Json[] | null {
  if (Array.isArray(value)) return value;
  for (const wrapper of ['items', ...wrappers]) {
    const found = member(value, wrapper);
    if (Array.isArray(found)) return found;
  }
  return null;
}

/** Metadata holds neither U+0000 nor half a surrogate pair: both are written as JSON escapes them. */
export function storable(text: string): string {
  return text.isWellFormed() && !text.includes('\u0000') ? text : JSON.stringify(text).slice(1, -1);
}
