/*
 * JSON.parse of V8 can give a member another name than its text has (nodejs/node#63785; seen on Node 24.21): a name that is
 * written with an escape is compared, as it is written, with names that objects of its shape had before. Once `{"a":0,"\\":1}`
 * was parsed anywhere in the process, `{"a":0,"\"":1}` is read as if its second name were `\`, too.
 */

/** A string, and whether it is a name. */
const STRING = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/gs;

/**
 * The value of a JSON text, for texts whose names others choose. The same as JSON.parse gives where that is right; of a name
 * that is repeated, any of its members. @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  // Escapes outside of names do no harm, and most texts have none at all.
  if (!text.includes('\\')) return JSON.parse(text);
  const mark = absentFrom(text);
  /** By what stands for them while the text is parsed. */
  const names = new Map<string, string>();
  const plain = text.replace(STRING, (all: string, colon: string | undefined) => {
    if (colon === undefined || !all.includes('\\')) return all;
    const standIn = `${mark}${names.size}`;
    names.set(standIn, JSON.parse(all.slice(0, -colon.length)) as string);
    return `"${standIn}"${colon}`;
  });
  const value: unknown = JSON.parse(plain);
  if (names.size > 0) rename(value, names);
  return value;
}

function absentFrom(text: string): string {
  let mark = '~';
  while (text.includes(mark)) mark += '~';
  return mark;
}

/** In all objects of a value, in place: with a stack of its own, so that no depth of nesting exhausts ours. */
function rename(value: unknown, names: ReadonlyMap<string, string>): void {
  const pending = [value];
  for (let at = pending.pop(); at !== undefined; at = pending.pop()) {
    if (typeof at !== 'object' || at === null) continue;
    if (!Array.isArray(at)) renameMembers(at as Record<string, unknown>, names);
    for (const each of Object.values(at)) pending.push(each);
  }
}

function renameMembers(object: Record<string, unknown>, names: ReadonlyMap<string, string>): void {
  const members = Object.entries(object);
  if (!members.some(([name]) => names.has(name))) return;
  // All of them, so that they keep their order.
  for (const [name] of members) delete object[name];
  for (const [name, value] of members) {
    const as = { value, writable: true, enumerable: true, configurable: true };
    // An assignment to `__proto__` would make no member.
    Object.defineProperty(object, names.get(name) ?? name, as);
  }
}
