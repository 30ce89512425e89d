import type { Json, JsonObject } from './canonical-json.ts';
import { holdsControl } from './control-characters.ts';

/** What bag-info.txt says (RFC 8493, 2.2.2), in its order; a label may stand there more than once. */
export interface BagField {
  label: string;
  value: string;
}

const LINE_BREAKS = /[\r\n\u2028\u2029\u0085]+[ \t]*/g;

/** Nothing is folded: a field is a line. Line breaks in a value become blanks. */
export function bagInfoText(fields: readonly BagField[]): string {
  return fields.map(({ label, value }) => `${label}: ${value.replace(LINE_BREAKS, ' ').trim()}\n`).join('');
}

/**
 * Folded lines become one, with a blank in between. Blanks around the colon, which versions before 1.0 allowed, are no part of a label.
 * @returns the number of the first line that is no field
 */
export function parseBagInfo(lines: readonly string[]): BagField[] | number {
  const fields: BagField[] = [];
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const last = fields.at(-1);
    if (/^[ \t]/.test(line)) {
      if (last === undefined) return index + 1;
      last.value = `${last.value} ${line.trim()}`.trim();
      continue;
    }
    const colon = line.indexOf(':');
    const label = line.slice(0, Math.max(colon, 0)).trim();
    if (label === '') return index + 1;
    fields.push({ label, value: line.slice(colon + 1).trim() });
  }
  return fields;
}

/** As metadata keeps them: lists can be filtered by those labels that stand there once. Labels are the same whatever their case is. */
export function bagInfoMember(fields: readonly BagField[]): JsonObject {
  const members = new Map<string, { label: string; values: string[] }>();
  for (const { label, value } of fields) {
    const member = members.get(label.toLowerCase());
    if (member) member.values.push(value);
    else members.set(label.toLowerCase(), { label, values: [value] });
  }
  return Object.fromEntries(
    [...members.values()].map(({ label, values }) => [label, values.length === 1 ? (values[0] as string) : values]),
  );
}

/** The fields of such a member, wherever it came from: what has another form is left out. */
export function fieldsOfMember(member: Json | undefined): BagField[] {
  if (typeof member !== 'object' || member === null || Array.isArray(member)) return [];
  return Object.entries(member).flatMap(([label, value]) => {
    if (!isLabel(label)) return [];
    const values = Array.isArray(value) ? value : [value];
    return values.flatMap((one) => (typeof one === 'string' ? { label, value: one } : []));
  });
}

const LABEL = /^[^\s:](?:[^:]*[^\s:])?$/;

/** One line without a colon, and without blanks at its ends. */
function isLabel(text: string): boolean {
  return LABEL.test(text) && !holdsControl(text) && text.isWellFormed();
}

export function valuesOf(fields: readonly BagField[], label: string): string[] {
  const wanted = label.toLowerCase();
  return fields.flatMap((field) => (field.label.toLowerCase() === wanted ? field.value : []));
}
