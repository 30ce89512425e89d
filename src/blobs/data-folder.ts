import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { makeFolder } from '../make-folder.ts';
import { type FileLayer, hasErrno, realFileLayer } from './file-layer.ts';
import { describeHolder, HOLDER_FILE, holderFacts, isHeldByAnother, watchLock } from './folder-holder.ts';
import { lockFolder } from './folder-lock.ts';
import { otherOwner, temporaryName } from './folder-owner.ts';

/**
 * The folder that one service owns:
 *
 *     format.json       which version of this layout it is
 *     lock.sqlite       locked as long as a process has the folder open
 *     holder.json       who that is, for the message that another one gets
 *     signing.key       32 random bytes: local URLs and cursors
 *     attestation.pem   an Ed25519 private key: attestations
 *     registry.sqlite   the registry, when it is SQLite
 *     blobs/            the folder store
 *     .new-<random>     a small file on its way in
 */
export interface DataFolder {
  readonly dir: string;
  readonly blobsDir: string;
  readonly registryFile: string;
  readonly signingKey: Buffer;
  /** PKCS #8, PEM. */
  readonly attestationKey: string;
  /** Puts another key in its place. @returns the new one */
  replaceAttestationKey(): Promise<string>;
  /** Says under which URL the holder can be reached. */
  announce(url: string): Promise<void>;
  /** Settled when the folder is held no more, because somebody removed or replaced the lock's file: nothing may go on. */
  readonly lost: Promise<DataFolderError>;
  close(): Promise<void>;
}

export type DataFolderErrorCode =
  | 'in_use'
  | 'lock_lost'
  | 'wrong_version'
  | 'not_a_data_folder'
  | 'not_writable'
  | 'other_owner'
  | 'no_data_folder';

/** The folder cannot be used; `message` names it and says what to do. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
  readonly code: DataFolderErrorCode;

  constructor(code: DataFolderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Of every version. */
const FORMATS = 'artifact-store/data/';
const FORMAT = `${FORMATS}v1`;
const FORMAT_FILE = 'format.json';
const KEY_BYTES = 32;
const ATTESTATION_FILE = 'attestation.pem';
/** How often the holder looks whether the lock's file stands. */
const LOCK_WATCH_MS = 1_000;
const TEMPORARY = /^\.new-[0-9a-f]+$/;

/**
 * What a folder that is not yet a data folder may contain: traces of an interrupted start, and files of a new volume.
 */
const NO_CONTENT = /^(\.new-[0-9a-f]+|lock\.sqlite(-.*)?|lost\+found)$/;

export interface OpenDataFolderOptions {
  /** Make it (0700) where there is none yet; default true. */
  make?: boolean;
}

/**
 * Opens the folder, and locks it until `close` or the end of the process.
 * @throws DataFolderError; `no_data_folder` when there is none and none may be made: then nothing was
 */
export async function openDataFolder(
  path: string,
  files: FileLayer = realFileLayer,
  { make = true }: OpenDataFolderOptions = {},
): Promise<DataFolder> {
  const dir = resolve(path);
  if (make) makeDataFolder(dir);
  else await assertMade(dir);
  if (await checkFormat(dir)) await checkOwner(dir, files);
  const lock = await writing(dir, () => lockFolder(dir));
  if (lock === null) throw new DataFolderError('in_use', await inUse(dir));
  try {
    if (await isHeldByAnother(dir, lock)) throw new DataFolderError('in_use', await inUse(dir));
    // The format again, now under the lock: two services may have found the folder empty.
    await checkFormat(dir);
    const { signingKey, attestationKey } = await writing(dir, () => prepare(files, dir));
    const holder = await holderFacts(dir, lock);
    const announce = (url?: string): Promise<void> =>
      writing(dir, () => writeSmall(files, dir, HOLDER_FILE, json({ ...holder, url }), 'replace'));
    await announce();
    const watch = watchLock(lock, LOCK_WATCH_MS);
    return {
      dir,
      blobsDir: join(dir, 'blobs'),
      registryFile: join(dir, 'registry.sqlite'),
      signingKey,
      attestationKey,
      replaceAttestationKey: () =>
        writing(dir, async () => {
          const pem = newAttestationKey();
          await writeSmall(files, dir, ATTESTATION_FILE, Buffer.from(pem), 'replace');
          await files.syncDirectory(dir);
          return pem;
        }),
      announce,
      lost: watch.lost.then(() => lockLost(dir)),
      async close() {
        watch.stop();
        // Another process may have the folder by now, and have said so.
        if (await lock.stands()) await files.unlink(join(dir, HOLDER_FILE)).catch(() => {});
        lock.release();
      },
    };
  } catch (error) {
    lock.release();
    throw error;
  }
}

function makeDataFolder(dir: string): void {
  try {
    makeFolder(dir, 0o700);
  } catch (error) {
    if (hasErrno(error, 'EEXIST', 'ENOTDIR')) {
      throw new DataFolderError('not_a_data_folder', `${dir} is not a folder: ${ANOTHER_FOLDER}.`, { cause: error });
    }
    throw notWritable(dir, error);
  }
}

/** @throws DataFolderError no_data_folder */
async function assertMade(dir: string): Promise<void> {
  const names = await writing(dir, () => readdir(dir).catch(absent));
  const text = names?.includes(FORMAT_FILE) ? await writing(dir, () => readFile(join(dir, FORMAT_FILE), 'utf8')) : '';
  if (formatOf(text)?.startsWith(FORMATS)) return;
  const why =
    names === null ? 'there is no such folder' : names.length === 0 ? 'it is empty' : 'it contains other things';
  throw new DataFolderError(
    'no_data_folder',
    `There is no data folder at ${dir} (${why}): name the right one with --data-dir or ARTIFACT_STORE_DATA_DIR. \`push --local\` and \`serve\` create a new one.`,
  );
}

/** @returns whether it is a data folder, not an empty one @throws DataFolderError wrong_version, not_a_data_folder */
export async function checkFormat(dir: string): Promise<boolean> {
  const text = await writing(dir, () => readFile(join(dir, FORMAT_FILE), 'utf8').catch(absent));
  if (text === null) {
    await checkEmpty(dir);
    return false;
  }
  const format = formatOf(text);
  if (format === FORMAT) return true;
  if (format?.startsWith(FORMATS)) {
    throw new DataFolderError(
      'wrong_version',
      `${dir} has the format ${format}, but this version of artifact-store supports ${FORMAT}: use the version that created it.`,
    );
  }
  throw new DataFolderError(
    'not_a_data_folder',
    `${dir} has a format.json that artifact-store did not write: ${ANOTHER_FOLDER}.`,
  );
}

/** Root may write in a folder of the service's user, who could not read it then. @throws DataFolderError other_owner, not_writable */
export async function checkOwner(dir: string, files: FileLayer = realFileLayer): Promise<void> {
  const other = await writing(dir, () => otherOwner(files, dir, FORMAT_FILE));
  if (other === null) return;
  throw new DataFolderError(
    'other_owner',
    `The data folder ${dir} belongs to user ${other.theirs}, who could not read what user ${other.ours} writes there: run this as that user (\`sudo -u '#${other.theirs}'\`), or give the folder to user ${other.ours} for good (\`chown -R ${other.ours} ${dir}\`).`,
  );
}

async function checkEmpty(dir: string): Promise<void> {
  const foreign = (await writing(dir, () => readdir(dir))).filter((name) => !NO_CONTENT.test(name));
  if (foreign.length === 0) return;
  const some = foreign.slice(0, 3).join(', ');
  throw new DataFolderError(
    'not_a_data_folder',
    `${dir} contains other things (${some}) and no format.json: ${ANOTHER_FOLDER}.`,
  );
}

const ANOTHER_FOLDER =
  'set ARTIFACT_STORE_DATA_DIR to a folder that is empty, that does not exist, or that artifact-store created';

function formatOf(text: string): string | null {
  try {
    const { format } = JSON.parse(text) as { format?: unknown };
    return typeof format === 'string' ? format : null;
  } catch {
    return null;
  }
}

/** Creates what is missing, durably, and removes what an interrupted start has left. @returns the folder's keys */
async function prepare(files: FileLayer, dir: string): Promise<Pick<DataFolder, 'signingKey' | 'attestationKey'>> {
  const blobs = join(dir, 'blobs');
  await removeTemporaries(files, dir);
  await writeSmall(files, dir, FORMAT_FILE, json({ format: FORMAT }), 'keep');
  await writeSmall(files, dir, 'signing.key', randomBytes(KEY_BYTES), 'keep');
  await writeSmall(files, dir, ATTESTATION_FILE, Buffer.from(newAttestationKey()), 'keep');
  await files.mkdir(blobs).catch((error) => {
    if (!hasErrno(error, 'EEXIST')) throw error;
  });
  await files.syncDirectory(dir);
  await removeTemporaries(files, blobs);
  await tryToWrite(files, blobs);
  const key = await readFile(join(dir, 'signing.key'));
  if (key.length === KEY_BYTES)
    return { signingKey: key, attestationKey: await readFile(join(dir, ATTESTATION_FILE), 'utf8') };
  throw new DataFolderError(
    'not_a_data_folder',
    `${join(dir, 'signing.key')} has ${key.length} bytes instead of ${KEY_BYTES}: restore the key from a backup, or remove the file for a new one (URLs that were signed with the old one will be refused).`,
  );
}

function newAttestationKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
}

async function removeTemporaries(files: FileLayer, dir: string): Promise<void> {
  for (const name of await readdir(dir)) if (TEMPORARY.test(name)) await files.unlink(join(dir, name));
}

async function tryToWrite(files: FileLayer, dir: string): Promise<void> {
  const file = temporaryName(dir);
  await (await files.create(file)).close();
  await files.unlink(file);
}

/** All of the bytes or nothing, mode 0600. @param standing what becomes of a file that has this name already */
async function writeSmall(
  files: FileLayer,
  dir: string,
  name: string,
  bytes: Uint8Array,
  standing: 'keep' | 'replace',
): Promise<void> {
  const temporary = temporaryName(dir);
  const file = await files.create(temporary);
  try {
    try {
      await file.write(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    if (standing === 'replace') return await files.rename(temporary, join(dir, name));
    await files.link(temporary, join(dir, name)).catch((error) => {
      if (!hasErrno(error, 'EEXIST')) throw error;
    });
  } finally {
    await files.unlink(temporary).catch(() => {});
  }
}

async function inUse(dir: string): Promise<string> {
  const holder = await describeHolder(dir);
  return `The data folder ${dir} is in use by ${holder}: stop that service, or set ARTIFACT_STORE_DATA_DIR to another folder.`;
}

function lockLost(dir: string): DataFolderError {
  return new DataFolderError(
    'lock_lost',
    `${join(dir, 'lock.sqlite')} was removed or replaced while the folder was in use, so another service could open it: start this one again, and leave that file alone.`,
  );
}

async function writing<Result>(dir: string, work: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof DataFolderError ? error : notWritable(dir, error);
  }
}

function notWritable(dir: string, error: unknown): DataFolderError {
  const why = error instanceof Error ? error.message : String(error);
  return new DataFolderError(
    'not_writable',
    `The data folder ${dir} cannot be used (${why}): give this user read and write access, or set ARTIFACT_STORE_DATA_DIR to another folder.`,
    { cause: error },
  );
}

function json(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value)}\n`);
}

function absent(error: unknown): null {
  if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return null;
  throw error;
}
