import * as z from 'zod/mini';
import { METADATA_MAX_DEPTH } from '../../../../src/core/metadata.ts';

/** What answers are made of. Loaded when the first answer is on its way: `--help` must not wait for zod. */

export const KIB = 1024;
export const MIB = 1024 ** 2;
/** Of whatever is one thing: a package's metadata is the largest part of any. */
const DOCUMENT = 4 * MIB;
/** The limit of any answer, and what everything except a list's items may have. */
export const ANSWER_MAX = 64 * MIB;
const FRAME = 64 * KIB;

export interface Answer<Schema extends z.ZodMiniType> {
  schema: Schema;
  /** Most bytes, of so many items. */
  max: (items: number) => number;
  /** Most elements in its lists, of so many items. */
  elements: (items: number) => number;
}

/** Of one thing: an upload has ten thousand parts. */
const DOCUMENT_ELEMENTS = 20_000;

/** @param most for those that grow with their years */
export function document<Schema extends z.ZodMiniType>(
  schema: Schema,
  most = { bytes: DOCUMENT, elements: DOCUMENT_ELEMENTS },
): Answer<Schema> {
  return { schema, max: () => most.bytes, elements: () => most.elements };
}

/**
 * @param itemMax bytes of one item, more than any has
 * @param unasked items that may come beside those that were asked for, @param beside bytes that all items have together
 */
export function listOf<Schema extends z.ZodMiniType>(
  schema: Schema,
  itemMax: number,
  { unasked = 0, beside = FRAME } = {},
): Answer<Schema> {
  return {
    schema,
    max: (items) => Math.min(ANSWER_MAX, beside + (items + unasked) * itemMax),
    // Each item, and what it is in: an object and the files in it, an upload and its parts.
    elements: (items) => 2 * (items + unasked),
  };
}

export function page<Item extends z.ZodMiniType>(item: Item, itemMax: number) {
  return listOf(z.object({ items: z.array(item), next_cursor: z.nullable(z.string().check(z.minLength(1))) }), itemMax);
}

/**
 * Whether the lists of an answer, and the lists in their elements, have at most so many elements: a schema would check
 * each of millions, and collect an issue for every one.
 */
export function elementsWithin(value: unknown, most: number): boolean {
  let left = most;
  for (const list of listsIn(value)) {
    left -= list.length;
    if (left < 0) return false;
    for (const element of list) {
      for (const inner of listsIn(element)) left -= inner.length;
      if (left < 0) return false;
    }
  }
  return true;
}

function listsIn(value: unknown): unknown[][] {
  if (typeof value !== 'object' || value === null) return [];
  return Array.isArray(value) ? [value] : Object.values(value).filter(Array.isArray);
}

/** Ids go into addresses and names of folders. */
export const id = z.string().check(z.regex(/^[\w-]{1,128}$/, 'is not an id'));

/** An empty file has nothing to fetch. What is before the path decides whether it can be asked at all. */
export const signedUrl = z.string().check(z.refine(isSignedUrl, 'is not an http(s) URL'));

function isSignedUrl(url: string): boolean {
  const [origin] = /^https?:\/\/[^\s@/?#]+(?=[/?#]|$)/.exec(url) ?? [];
  return origin === undefined ? url === 'data:,' : URL.canParse(origin);
}

/** Not a record: that takes three times as long. */
export const headers = z.custom<Record<string, string>>(areHeaders, 'are not headers of a request');

function areHeaders(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const [name, text] of Object.entries(value)) {
    if (typeof text !== 'string' || !HEADER_NAME.test(name) || !HEADER_VALUE.test(text)) return false;
  }
  return true;
}

const HEADER_NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e]*$/;

/** As metadata can be: whatever walks it later, JSON.stringify among them, does not exhaust its stack. */
export function isShallow(value: unknown, left = METADATA_MAX_DEPTH + 8): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return left > 0 && Object.values(value).every((member) => isShallow(member, left - 1));
}

export const TOO_DEEP = 'is nested more deeply than metadata can be';

/**
 * The first thing that is wrong with it: `items.3.size: …`.
 * @param before items of the same list that were checked before
 */
export function sayIssue({ issues: [issue] }: z.core.$ZodError, before = 0): string {
  const [first, ...deeper] = issue?.path ?? [];
  const field = [typeof first === 'number' ? first + before : first, ...deeper].join('.');
  const says = issue?.message.replace(/^Invalid input: /, '') ?? 'it is something else';
  return field === '' ? says : `${field}: ${says}`;
}
