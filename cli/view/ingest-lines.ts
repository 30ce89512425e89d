import type { BagResult } from '../bagit/ingest-bag.ts';
import { printable } from '../format.ts';
import type { IngestResult, StatehubTarget } from '../guide-board/ingest-run.ts';
import { pushLines } from './push-lines.ts';

/** What an ingest did, for people. */
export function ingestLines(result: IngestResult): string {
  return `${pushLines(result)}\n  run       ${printable(result.run_id)}`;
}

/** What an ingest of a bag did, for people. */
export function bagLines(result: BagResult): string {
  const { bag, external_id } = result;
  return [
    pushLines(result),
    `  bag       BagIt ${bag.version}, checked by ${bag.algorithms.join(', ')}`,
    ...(external_id === null ? [] : [`  id        ${printable(external_id)}`]),
  ].join('\n');
}

/** The command that reports to Statehub later what could not be reported now. */
export function postLaterCommand(
  packageId: string,
  target: StatehubTarget,
  service: { url?: string; local?: boolean; dataDir?: string },
): string {
  const words = ['artifact-store', 'link', packageId, '--post', target.url];
  const option = (name: string, value: string | undefined): void => {
    if (value !== undefined) words.push(name, value);
  };
  option('--author', target.author);
  option('--workstream', target.workstream);
  option('--task', target.task);
  option('--url', service.url);
  if (service.local) words.push('--local');
  option('--data-dir', service.dataDir);
  return words.map(quote).join(' ');
}

/** For a POSIX shell. */
function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
