import { type ObjectKey, parseKey } from '../key-layout.ts';

/** The one place that puts the prefix before a key and takes it off again. */
export interface KeyNames {
  /** @throws RangeError if it is not a key */
  toName(key: ObjectKey): string;
  /** Null: somebody else's object. */
  toKey(name: string): ObjectKey | null;
  /** What the names of all keys under a prefix begin with. */
  toNamePrefix(prefix: string): string;
}

/** @param prefix as configured: slashes at its ends make no difference @throws RangeError for what keys cannot begin with */
export function keyNames(prefix: string | null): KeyNames {
  const trimmed = (prefix ?? '').replace(/^\/+|\/+$/g, '');
  const before = trimmed === '' ? '' : `${parsePrefix(trimmed)}/`;
  return {
    toName: (key) => before + parseKey(key),
    toKey(name) {
      if (!name.startsWith(before)) return null;
      try {
        return parseKey(name.slice(before.length));
      } catch {
        return null;
      }
    },
    toNamePrefix: (text) => before + text,
  };
}

function parsePrefix(text: string): string {
  if (text.length <= 200 && text.split('/').every((segment) => /^[A-Za-z0-9_-][A-Za-z0-9._-]*$/.test(segment))) {
    return text;
  }
  throw new RangeError(`${JSON.stringify(text)} is not a key prefix: use only letters, digits, ".", "_", "-" and "/".`);
}
