import { matchesGlob } from 'node:path';
import type { Package } from '../../../src/api/types.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { PackageFile } from '../package-file.ts';
import { nearPaths } from './near-paths.ts';

const NEAR_MAX = 3;

/**
 * The files of a package whose paths match; without a glob, all.
 * @throws CliError file_not_found when none does, with near names
 */
export function chooseFiles(
  pkg: Package,
  files: readonly PackageFile[],
  glob: string | undefined,
): readonly PackageFile[] {
  if (glob === undefined) return files;
  const chosen = files.filter(({ path }) => matchesGlob(path, glob));
  if (chosen.length > 0) return chosen;
  const paths = files.map(({ path }) => path);
  const deeper = `**/${glob}`;
  const hint = paths.some((path) => matchesGlob(path, deeper)) ? `In deeper folders, ${quote(deeper)} does.` : null;
  throw noSuchFile(pkg, `No file of the package matches ${quote(glob)}.`, { written: glob, paths, hint });
}

/** @param message a sentence @param hint another one, better than near names */
export function noSuchFile(
  { id, status }: Package,
  message: string,
  { written, paths, hint = null }: { written: string; paths: readonly string[]; hint?: string | null },
): CliError {
  const near = nearPaths(written, paths, NEAR_MAX);
  const names = near.length === 0 ? [] : [`Near it: ${near.map(quote).join(', ')}.`];
  const all = status === 'finalized' ? [`\`artifact-store manifest ${id} --format sha256sum\` lists every file.`] : [];
  return new CliError(message, {
    exit: EXIT.notFound,
    code: 'file_not_found',
    next: [...(hint === null ? names : [hint]), ...all].join(' ') || undefined,
    extras: { near },
  });
}

function quote(text: string): string {
  return JSON.stringify(text);
}
