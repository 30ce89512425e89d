/** A value that JSON can say. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/**
 * JSON Canonicalization Scheme (RFC 8785): keys sorted by UTF-16 code units, no white space, numbers as ECMAScript
 * writes them. The same value gives the same bytes everywhere, so a digest over it can be checked by anybody.
 * Undefined members are left out. @throws TypeError for what I-JSON cannot hold (lone surrogates, NaN, Infinity)
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean') return String(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} is not a JSON number`);
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw new TypeError('a lone surrogate is not Unicode text');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const object = value as Record<string, unknown>;
    // Unasked, sort orders by UTF-16 code units.
    const keys = Object.keys(object).sort();
    const members = keys.filter((key) => object[key] !== undefined);
    return `{${members.map((key) => `${canonicalJson(key)}:${canonicalJson(object[key])}`).join(',')}}`;
  }
  throw new TypeError(`a ${typeof value} is not a JSON value`);
}
