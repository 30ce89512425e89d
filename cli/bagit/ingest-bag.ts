import { mkdtemp, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pathProblem } from '../../src/core/logical-path.ts';
import { TEXT_MAX, textProblem } from '../../src/core/text-problem.ts';
import type { ApiClient } from '../client/api/api-client.ts';
import { type PushProgress, type PushResult, pushDirectory } from '../client/push/push.ts';
import type { PushOptions } from '../client/push/push-order.ts';
import { usageError } from '../errors.ts';
import { packageOf } from './bag-package.ts';
import { readBag } from './read-bag.ts';
import { unpackZip } from './unpack-zip.ts';

/** What push takes and a bag does not say by itself. */
export type BagOptions = Omit<PushOptions, 'directory' | 'metadata' | 'exclude' | 'symlinks' | 'special' | 'derived'>;

export interface BagResult extends PushResult {
  external_id: string | null;
  bag: { version: string; algorithms: string[]; warnings: string[] };
}

export interface BagContext {
  client: ApiClient;
  progress: PushProgress;
  env: Record<string, string | undefined>;
}

/**
 * A bag in, a finalized package out. All of the bag is checked before anything is sent.
 * @param place a folder, or a ZIP file, which is unpacked into a temporary folder that goes when this ends, however it does
 * @throws what readBag, unpackZip and pushDirectory throw
 */
export async function ingestBag(place: string, options: BagOptions, context: BagContext): Promise<BagResult> {
  const stats = await stat(place).catch(() => null);
  if (!stats?.isFile()) return ingestFolder(place, { ...options, name: options.name ?? nameOf(place) }, context);
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-bag-'));
  try {
    const unpacked = await unpackZip(place, folder, { signal: context.client.signal, watch: context.progress.watch });
    const name = options.name ?? unpacked.folder ?? nameOf(place.replace(/\.zip$/i, ''));
    return await ingestFolder(unpacked.directory, { ...options, name }, context, await realpath(place));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @param remembered by which place an interrupted push is found again */
async function ingestFolder(
  directory: string,
  options: BagOptions & { name: string },
  { client, progress, env }: BagContext,
  remembered?: string,
): Promise<BagResult> {
  const bag = await readBag(directory, { signal: client.signal, watch: progress.watch });
  for (const warning of bag.warnings) progress.warn?.(`warning: ${warning}`);
  const { files, metadata, externalId, notes } = packageOf(bag);
  for (const note of notes) progress.note?.(note);
  const { name } = options;
  const given = { ...options, externalId: options.externalId ?? externalId, metadata, directory };
  const look = { name, files, leftOut: null, metadata, lookAgain: bag.lookAgain, remembered };
  const pushed = await pushDirectory(client, { ...given, derived: true }, progress, env, look);
  const { version } = bag.declaration;
  const said = { version, algorithms: bag.algorithms, warnings: bag.warnings };
  return { ...pushed, external_id: given.externalId ?? null, bag: said };
}

/** @throws CliError wrong_usage when no package can be called so */
function nameOf(place: string): string {
  const name = basename(resolve(place));
  const problem = textProblem(name, TEXT_MAX.name) ?? pathProblem(name);
  if (problem === null) return name;
  throw usageError(`The bag's name ${JSON.stringify(name)} ${problem}.`, 'Give the package a name with --name.');
}
