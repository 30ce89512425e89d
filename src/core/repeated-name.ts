/*
 * A name that an object has twice: RFC 8259 lets every reader choose which of the two counts, so that a proxy, a log and this
 * service could each see another request (I-JSON, RFC 7493, 2.3, forbids it). JSON.parse takes the last silently.
 */

/** Members of all objects in a value. Fewer than its text has: a name is repeated. */
export function membersIn(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const within: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return within.reduce((sum: number, each) => sum + membersIn(each), Array.isArray(value) ? 0 : within.length);
}

/** A string, and whether it is a name; or a bracket. */
const TOKEN = /("[^"\\]*(?:\\.[^"\\]*)*")\s*(:?)|[[\]{}]/gs;

/** The first name that stands twice in an object. @param text JSON */
export function repeatedName(text: string): string | null {
  /** Of the objects and arrays that are open; an array has no names. */
  const open: Array<Set<string>> = [];
  for (const [token, string, colon] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (colon === ':') {
      const name = JSON.parse(string as string) as string;
      const names = open.at(-1);
      if (names?.has(name)) return name;
      names?.add(name);
    }
  }
  return null;
}
