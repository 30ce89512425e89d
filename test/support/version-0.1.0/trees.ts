import { chmod, mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * The directories that version 0.1.0 preserved for the fixture. Every byte follows from this file, so that a test can hold what
 * it pulls against them and no second copy is kept. They never change: the fixture was recorded from them.
 */
export interface OldFile {
  bytes: Buffer;
  executable?: true;
}

export type OldTree = Readonly<Record<string, OldFile>>;

const KIB = 1024;

/** What the recording service was told, so that little bytes make packs, loose blobs, and uploads of several parts. */
export const OLD_LIMITS = {
  pack_member_max: 16 * KIB,
  pack_members_max: 30,
  // No less: S3 refuses smaller parts.
  single_part_max: 5 * KIB ** 2,
  part_size: 5 * KIB ** 2,
  min_part_size: 5 * KIB ** 2,
};

/** Numbered lines: they compress well, and no piece of them stands at another place too. */
function lines(name: string, size: number): OldFile {
  const written: string[] = [];
  for (let length = 0, number = 0; length < size; number += 1) {
    const line = `${name} ${number}\n`;
    written.push(line);
    length += Buffer.byteLength(line);
  }
  return { bytes: Buffer.from(written.join('')).subarray(0, size) };
}

/** Numbered blocks of 16 KiB, for what must be large and still small in the fixture. */
function blocks(name: string, size: number): OldFile {
  const bytes = Buffer.alloc(size, '.');
  for (let offset = 0; offset < size - 64; offset += 16 * KIB) bytes.write(`${name} ${offset}\n`, offset);
  return { bytes };
}

const executable = (file: OldFile): OldFile => ({ ...file, executable: true });

/** Of three packs. */
function manySmallFiles(): OldTree {
  const files: Record<string, OldFile> = { 'empty.log': { bytes: Buffer.alloc(0) } };
  for (let index = 0; index < 80; index += 1)
    files[`logs/${index % 12}/case-${index}.txt`] = lines(`case ${index}`, 1 + index * 4);
  return files;
}

/** Names that a POSIX file system allows, and that something on the way may take amiss. */
const NAMES = [
  'back\\slash',
  'quote "double" \'single\' `tick`',
  '-leading-dash',
  ' leading and trailing blank ',
  '.hidden',
  'percent %2F %00',
  'question? #hash & ampersand; semicolon',
  '…/..dots/...',
  'ünïcödé/é as one, nfc',
  'ünïcödé/e\u0301t as two, nfd',
  '日本語/🎉',
  'order/a',
  'order/B',
  'order/ä',
  `${'long '.repeat(50)}name`,
];

function everyKind(): OldTree {
  return {
    ...Object.fromEntries(NAMES.map((name, index) => [name, lines(`name ${index}`, 40 + index)])),
    empty: { bytes: Buffer.alloc(0) },
    'bin/run.sh': executable({ bytes: Buffer.from('#!/bin/sh\nexec true\n') }),
    'bin/empty-tool': executable({ bytes: Buffer.alloc(0) }),
    // Of another package, and twice here.
    'again/case-60.txt': lines('case 60', 1 + 60 * 4),
    'again/once-more.txt': lines('case 60', 1 + 60 * 4),
    'largest-member': lines('member', OLD_LIMITS.pack_member_max),
    loose: lines('loose', OLD_LIMITS.pack_member_max + 1),
    'two-parts.bin': blocks('two parts', 5 * KIB ** 2 + 100_003),
  };
}

function weekly(week: number): OldTree {
  return {
    'same in all.txt': lines('weekly', 900),
    'report.txt': lines(`week ${week}`, 500 + week),
    [`week-${week}.txt`]: lines('only', 100 + week),
  };
}

/** What was committed of it when version 0.1.0 ended, and what was not. */
function unfinished(): { sent: OldTree; all: OldTree } {
  const sent: Record<string, OldFile> = { 'sent/loose': lines('sent', 20_000) };
  for (let index = 0; index < 20; index += 1) sent[`sent/${index}`] = lines(`sent ${index}`, 300 + index);
  const left = { 'left/a': lines('left a', 700), 'left/empty': { bytes: Buffer.alloc(0) } };
  return { sent, all: { ...sent, ...left, [HALF_SENT]: blocks('half sent', 5 * KIB ** 2 + 100_000) } };
}

/** In the tree `unfinished`: the first of its two parts had arrived. */
export const HALF_SENT = 'half-sent.bin';

export const TREES = {
  packs: manySmallFiles(),
  kinds: everyKind(),
  week1: weekly(1),
  week2: weekly(2),
  week3: weekly(3),
  nothing: { empty: { bytes: Buffer.alloc(0) } },
  curl: { 'by curl/ä "file".txt': lines('curl', 3_000), 'by curl/b': lines('curl b', 17_000) },
  scratch: { 'scratch.txt': lines('scratch', 2_000) },
  sent: unfinished().sent,
  unfinished: unfinished().all,
} satisfies Record<string, OldTree>;

export type TreeName = keyof typeof TREES;

/** A push tells the service when files were modified: an open package is continued with the same times. */
const MODIFIED = new Date('2026-01-02T03:04:05.678Z');

export async function writeOldTree(folder: string, tree: OldTree): Promise<string> {
  for (const [path, { bytes, executable }] of Object.entries(tree)) {
    const absolute = join(folder, path);
    await mkdir(dirname(absolute), { recursive: true });
    await writeFile(absolute, bytes);
    await chmod(absolute, executable ? 0o755 : 0o644);
    await utimes(absolute, MODIFIED, MODIFIED);
  }
  return folder;
}
