import type { BigIntStats, Stats } from 'node:fs';

/** In a private folder, of the file whose digest has this hex. */
export function partOf(hex: string): string {
  return `${hex}.part`;
}

export function journalOf(part: string): string {
  return part.replace(/\.part$/, '.ranges');
}

/** A partial file that can be continued; see partial-file.ts. */
export function isPartial(name: string): boolean {
  return /^[0-9a-f]{64}\.(part|ranges)$/.test(name);
}

/** A plain file of this user that has no other name: bytes written to it go nowhere else. */
export function isOwnFile(stats: Stats | BigIntStats | null): boolean {
  return stats?.isFile() === true && Number(stats.nlink) === 1 && Number(stats.uid) === process.getuid?.();
}
