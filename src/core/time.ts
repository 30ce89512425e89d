import { StoreError } from './errors.ts';

const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/** The last time that RFC 3339 can write; ms. */
export const TIME_MAX = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * An RFC 3339 time in UTC with its fraction as given, up to nanoseconds: file systems have them, Date has not.
 * @param path the file whose time it is, for the error @throws StoreError invalid_request
 */
export function canonicalTime(text: string, path: string): string {
  const wrong = () =>
    new StoreError(
      'invalid_request',
      `The mtime of ${JSON.stringify(path)} is not an RFC 3339 time between the years 0000 and 9999.`,
      {
        path,
        errors: [{ field: 'mtime', message: 'is not a time that can be stored' }],
      },
    );
  const match = RFC3339.exec(text);
  if (!match) throw wrong();
  const [, seconds, fraction = '', zone] = match;
  const time = Date.parse(`${seconds}${zone}`.toUpperCase());
  if (fraction.length > 10 || Number.isNaN(time)) throw wrong();
  const utc = new Date(time).toISOString();
  if (!/^\d{4}-/.test(utc)) throw wrong();
  return utc.replace(/\.000Z$/, `${fraction}Z`);
}
