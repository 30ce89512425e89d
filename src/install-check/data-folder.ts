import { stat, statfs } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DataFolderError } from '../blobs/data-folder.ts';
import { readHolder } from '../blobs/folder-holder.ts';
import { processIdentity } from '../blobs/folder-lock.ts';
import { lookAtDataFolder } from '../blobs/look-at-data-folder.ts';
import { dataFolder } from '../usecases/diagnose.ts';
import { type Check, failure, messageOf, note, ok, warning } from './check.ts';
import { fileSystemProblem } from './file-systems.ts';
import { tryFolder } from './try-folder.ts';

/** Files that only the service's user may read. */
const PRIVATE = ['signing.key', 'attestation.pem', 'registry.sqlite'];
const INODES_MIN = 10_000;

export interface DataFolderChecks {
  checks: Check[];
  /** A service made it: it may have a registry with tokens. */
  made: boolean;
  /** Who has it open now; its port is in use, too. */
  heldBy: { pid: number; url: string | null } | null;
}

/**
 * The data folder as it is, or, where there is none yet, the one that it will be made in. Nothing that is written stays. @param blobs whether
 * bytes of packages go there
 */
export async function checkDataFolder(path: string, blobs: boolean): Promise<DataFolderChecks> {
  const dir = resolve(path);
  let state: Awaited<ReturnType<typeof lookAtDataFolder>>;
  try {
    state = await lookAtDataFolder(dir);
  } catch (error) {
    if (!(error instanceof DataFolderError)) throw error;
    return { checks: [failure('data_folder', error.message, null)], made: false, heldBy: null };
  }
  const place = state === 'absent' ? await nearestFolder(dir) : dir;
  const heldBy = state === 'made' ? await holderOf(dir) : null;
  return {
    checks: [
      ...(state === 'absent' ? [note('data_folder', `There is no data folder yet: it will be made at ${dir}.`)] : []),
      ...(heldBy === null
        ? []
        : [
            note(
              'data_folder_use',
              `A service has it open: process ${heldBy.pid}${heldBy.url ? ` at ${heldBy.url}` : ''}.`,
            ),
          ]),
      ...(await space(dir, place)),
      ...(await fileSystem(place, blobs)),
      await tried(place, state === 'absent'),
      ...(state === 'absent' ? [] : await modes(dir)),
    ],
    made: state === 'made',
    heldBy,
  };
}

async function nearestFolder(dir: string): Promise<string> {
  const there = await stat(dir).then(
    (entry) => entry.isDirectory(),
    () => false,
  );
  return there || dirname(dir) === dir ? dir : nearestFolder(dirname(dir));
}

async function holderOf(dir: string): Promise<DataFolderChecks['heldBy']> {
  const holder = await readHolder(dir);
  if (!holder?.pid || !holder.process) return null;
  const lives = (await processIdentity(holder.pid)) === holder.process;
  return lives ? { pid: holder.pid, url: holder.url ?? null } : null;
}

async function space(dir: string, place: string): Promise<Check[]> {
  const { bavail, bsize, files, ffree } = await statfs(place);
  const checks = [dataFolder({ dataDir: dir }, bavail * bsize)];
  // Some file systems have no fixed number of them.
  if (files > 0 && ffree < INODES_MIN) {
    const says = `The file system of ${place} has room for ${ffree} more files.`;
    checks.push(warning('inodes', says, 'Make one with more inodes: each object is a file.'));
  }
  return checks;
}

async function fileSystem(place: string, blobs: boolean): Promise<Check[]> {
  const { type } = await statfs(place);
  const problem = fileSystemProblem(type, blobs);
  return problem === null ? [] : [warning('file_system', `${place} is ${problem.says}`, problem.advice)];
}

async function tried(place: string, absent: boolean): Promise<Check> {
  const name = 'data_folder_works';
  try {
    const { syncMs } = await tryFolder(place);
    const took = syncMs < 1 ? 'less than 1 ms' : `${Math.round(syncMs)} ms`;
    return ok(name, `Files of ${place} can be written, synced (${took}), linked, renamed and locked.`);
  } catch (error) {
    const advice = absent
      ? `Make the folder for the service's user: \`install -d -o USER -m 0700 DIR\`.`
      : "Give the service's user this folder, on a local file system: `chown -R USER DIR`.";
    return failure(name, `${place} cannot hold a data folder: ${messageOf(error)}`, advice);
  }
}

async function modes(dir: string): Promise<Check[]> {
  const open: string[] = [];
  for (const path of [dir, ...PRIVATE.map((name) => join(dir, name))]) {
    const mode = await stat(path).then(
      (entry) => entry.mode,
      () => 0,
    );
    if ((mode & 0o077) !== 0) open.push(`${path} (${(mode & 0o777).toString(8)})`);
  }
  if (open.length === 0) return [ok('data_folder_modes', "Only the data folder's user may read it.")];
  const says = `Others may read or change ${open.join(', ')}.`;
  return [
    warning(
      'data_folder_modes',
      says,
      'chmod 700 the folder, and 600 its files: who has the keys can sign URLs and attestations.',
    ),
  ];
}
