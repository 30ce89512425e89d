import { hash } from 'node:crypto';
import type { LintedSecret } from './lint-text.ts';
import type { Span } from './suspicion.ts';

/** Of other rules other findings: what was found with these is looked for again with those. */
export const RULES_VERSION = 1;

/** A secret in a file: never its text. */
export interface FoundSecret {
  /** From 1 on; lines end with LF. */
  line: number;
  kind: string;
  /** SHA-256 of the secret's bytes, 64 hex digits: by it a baseline knows the secret. */
  sha256: string;
}

/** Of one file; behind them it is not looked through. */
export const SECRETS_OF_FILE_MAX = 1_000;
/** Stands for the secrets of a file behind the first ones. */
export const MORE_KIND = 'more-secrets';

/** What stands before an anchor and belongs to it: a URL up to its `@`, the beginning of a name. */
const BEFORE = 1_024;
/** Of an anchor so much that its secret begins within. */
const BEGINS_WITHIN = 512;
/** The longest secrets: of any kind, and private keys, of which the rules read 10,000 characters. */
const AFTER = 4 * 1_024;
const KEY_AFTER = 12 * 1_024;
const KEY_BEGINS = '-----BEGIN';
const COUNTED_AT_ONCE = 1_024 ** 2;
const LF = 0x0a;

/** Gives the file's bytes from `start` to before `end`, valid until it is asked again; null: they are not there any more. */
export type ReadSpan = (start: number, end: number) => Buffer | null;

/**
 * Has the rules look at the spans of a file, and says in which lines they found what. Memory is bounded by a span, whatever the
 * file's size. @returns in their order; null: bytes were not there any more
 */
export async function findSecrets(read: ReadSpan, size: number, spans: readonly Span[]): Promise<FoundSecret[] | null> {
  if (spans.length === 0) return [];
  const { lintText } = await loadRules();
  const secrets: Placed[] = [];
  for (const span of spans) {
    const linted = await lintSpan(read, size, span, lintText);
    if (linted === null) return null;
    secrets.push(...linted);
    if (secrets.length > 2 * SECRETS_OF_FILE_MAX) break;
  }
  return withLines(read, outermost(secrets));
}

/** A secret at its place in the file. */
interface Placed extends LintedSecret {
  sha256: string;
}

/** Beside this module, which is .ts in a checkout and .js in dist/: a file of its own, for threads and for the command alike. */
async function loadRules(): Promise<typeof import('./lint-text.ts')> {
  const file = import.meta.url.endsWith('.ts') ? './lint-text.ts' : './lint-text.js';
  return import(new URL(file, import.meta.url).href);
}

async function lintSpan(
  read: ReadSpan,
  size: number,
  { start, end }: Span,
  lintText: (text: string) => Promise<LintedSecret[]>,
): Promise<Placed[] | null> {
  const from = Math.max(0, start - BEFORE);
  // A character for each byte: places in the text are places in the file, and a secret's bytes are its own.
  const textOf = (after: number) => read(from, Math.min(size, end + after))?.toString('latin1') ?? null;
  let text = textOf(AFTER);
  if (text?.includes(KEY_BEGINS)) text = textOf(KEY_AFTER);
  if (text === null) return null;
  const content = text;
  const linted = await lintText(content);
  // What begins later has its anchor in a span of its own, where none of it is cut off.
  const own = linted.filter((secret) => from + secret.start < end + BEGINS_WITHIN);
  return own.map(({ start, end, kind }) => {
    const sha256 = hash('sha256', Buffer.from(content.slice(start, end), 'latin1'), 'hex');
    return { start: from + start, end: from + end, kind, sha256 };
  });
}

/** Of those that overlap the first and longest: two rules know one secret, and two spans see what stands between them. */
function outermost(secrets: readonly Placed[]): Placed[] {
  const sorted = [...secrets].sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Placed[] = [];
  for (const secret of sorted) {
    const last = kept.at(-1);
    if (last === undefined || secret.start >= last.end) kept.push(secret);
  }
  return kept;
}

/** Lines are counted where there is something to tell, and nowhere else. */
function withLines(read: ReadSpan, secrets: readonly Placed[]): FoundSecret[] | null {
  const found: FoundSecret[] = [];
  let [line, counted] = [1, 0];
  for (const { start, kind, sha256 } of secrets) {
    while (counted < start) {
      const bytes = read(counted, Math.min(start, counted + COUNTED_AT_ONCE));
      if (bytes === null) return null;
      for (let at = bytes.indexOf(LF); at !== -1; at = bytes.indexOf(LF, at + 1)) line += 1;
      counted += bytes.length;
    }
    if (found.length === SECRETS_OF_FILE_MAX) {
      found.push({ line, kind: MORE_KIND, sha256: hash('sha256', MORE_KIND, 'hex') });
      return found;
    }
    found.push({ line, kind, sha256 });
  }
  return found;
}
