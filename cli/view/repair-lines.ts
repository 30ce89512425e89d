import type { Fixity, RepairedManifests } from '../../src/api/types.ts';
import type { Repaired } from '../client/repair.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { countOf, formatBytes, printable } from '../format.ts';
import { damageLines, needsBytes } from './fixity-lines.ts';

type Damaged = Fixity['damaged'];
type Item = Damaged['items'][number];

export interface Repair {
  before: Damaged;
  /** Null: no files were named. */
  repaired: Repaired | null;
  /** Null: manifests were not asked for. */
  rewritten: RepairedManifests | null;
  after: Damaged;
}

/** What was mended, and what is still damaged, in lines. */
export function repairOutcome({ before, repaired, rewritten, after }: Repair): Outcome {
  const open = after.items.filter(needsBytes);
  const still = new Set(open.map(nameOf));
  const mended = before.items.filter(needsBytes).filter((item) => !still.has(nameOf(item)));
  const lines = [
    ...(repaired === null ? [] : [sayRead(repaired)]),
    ...mended.map(({ package_id, path }) => printable(`  ${package_id}  ${path ?? 'its manifest'}: mended`)),
    ...(rewritten?.kept ?? []).map(
      (id) => `  ${printable(id)}  its manifest: the registry does not give the same bytes; restore it from a backup`,
    ),
    open.length === 0
      ? 'Every file has its bytes.'
      : `${countOf(open.length, 'file')}${after.more ? ' or more' : ''} still damaged:`,
    ...damageLines({ items: open, more: after.more }),
  ];
  const helped = mended.length > 0 || (repaired?.sent.objects ?? 0) > 0 || (rewritten?.repaired.length ?? 0) > 0;
  return {
    json: {
      ...repaired,
      manifests: rewritten,
      mended: mended.map(({ package_id, path, digest }) => ({ package_id, path, digest })),
      damaged: after,
    },
    text: lines.join('\n'),
    exit: open.length === 0 ? EXIT.done : helped ? EXIT.integrity : EXIT.notFound,
  };
}

function sayRead({ read, sent }: Repaired): string {
  const what = `${countOf(read.files, 'file')} read, ${formatBytes(read.bytes)}`;
  if (sent.objects === 0) return `${what}: none of them has bytes that are damaged or gone.`;
  return `${what}; ${countOf(sent.objects, 'of them was', 'of them were')} needed, sent and verified (${formatBytes(sent.bytes)}).`;
}

function nameOf({ package_id, path }: Item): string {
  return JSON.stringify([package_id, path]);
}
