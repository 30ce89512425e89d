import { randomBytes, randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { join, resolve } from 'node:path';
import Database from 'better-sqlite3';
import { type FileLayer, hasErrno, realFileLayer } from './file-layer.ts';

/**
 * The folder that one service owns:
 *
 *     format.json       which version of this layout it is
 *     lock.sqlite       locked as long as a process has the folder open
 *     holder.json       who that is, for the message that another one gets
 *     signing.key       32 random bytes: local URLs and cursors
 *     registry.sqlite   the registry, when it is SQLite
 *     blobs/            the folder store
 */
export interface DataFolder {
  readonly dir: string;
  readonly blobsDir: string;
  readonly registryFile: string;
  readonly signingKey: Buffer;
  /** Says under which URL the holder can be reached. */
  announce(url: string): Promise<void>;
  close(): Promise<void>;
}

export type DataFolderErrorCode = 'in_use' | 'wrong_version' | 'not_a_data_folder' | 'not_writable';

/** The folder cannot be used; `message` names it and says what to do. */
export class DataFolderError extends Error {
  override readonly name = 'DataFolderError';
  readonly code: DataFolderErrorCode;

  constructor(code: DataFolderErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const FORMAT = 'artifact-store/data/v1';

/** Opens the folder, making it (0700) when it does not exist, and locks it until `close` or the end of the process. */
export async function openDataFolder(path: string, files: FileLayer = realFileLayer): Promise<DataFolder> {
  const dir = resolve(path);
  await makeFolder(dir);
  await refuseForeign(dir);
  const lock = await takeLock(dir);
  try {
    await writable(dir, async () => {
      // The format again, now under the lock: two services may have found the folder empty.
      await refuseForeign(dir);
      await writeOnce(files, dir, 'format.json', Buffer.from(`${JSON.stringify({ format: FORMAT })}\n`));
      await writeOnce(files, dir, 'signing.key', randomBytes(32));
      await fs.mkdir(join(dir, 'blobs'), { mode: 0o700, recursive: true });
      await files.syncDirectory(dir);
    });
    const holder = { pid: process.pid, started_at: new Date().toISOString(), url: null as string | null };
    const announce = async (url: string | null): Promise<void> => {
      await fs.writeFile(join(dir, 'holder.json'), `${JSON.stringify({ ...holder, url })}\n`);
    };
    await writable(dir, () => announce(null));
    return {
      dir,
      blobsDir: join(dir, 'blobs'),
      registryFile: join(dir, 'registry.sqlite'),
      signingKey: await fs.readFile(join(dir, 'signing.key')),
      announce,
      async close() {
        await fs.rm(join(dir, 'holder.json'), { force: true });
        lock.close();
      },
    };
  } catch (error) {
    lock.close();
    throw error;
  }
}

async function makeFolder(dir: string): Promise<void> {
  try {
    await fs.mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (hasErrno(error, 'EEXIST', 'ENOTDIR')) {
      throw new DataFolderError(
        'not_a_data_folder',
        `${dir} is not a folder: set ARTIFACT_STORE_DATA_DIR to another path.`,
      );
    }
    throw notWritable(dir, error);
  }
}

async function writable<T>(dir: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof DataFolderError) throw error;
    throw notWritable(dir, error);
  }
}

function notWritable(dir: string, error: unknown): DataFolderError {
  const message = `The data folder ${dir} cannot be written (${(error as Error).message}): give this user write access, or set ARTIFACT_STORE_DATA_DIR to another folder.`;
  return new DataFolderError('not_writable', message, { cause: error });
}

async function refuseForeign(dir: string): Promise<void> {
  let text: string;
  try {
    text = await fs.readFile(join(dir, 'format.json'), 'utf8');
  } catch (error) {
    if (!hasErrno(error, 'ENOENT')) throw notWritable(dir, error);
    // Made a moment ago, by us or by another process that is starting.
    const foreign = (await fs.readdir(dir)).filter((name) => !/^lock\.sqlite/.test(name) && !/^\.new-/.test(name));
    if (foreign.length === 0) return;
    throw new DataFolderError(
      'not_a_data_folder',
      `${dir} holds other things (${foreign.slice(0, 3).join(', ')}) and no format.json: set ARTIFACT_STORE_DATA_DIR to an empty folder, or one that artifact-store made.`,
    );
  }
  const format = formatOf(text);
  if (format === FORMAT) return;
  throw new DataFolderError(
    'wrong_version',
    `${dir} has the format ${JSON.stringify(format)}, this version knows ${JSON.stringify(FORMAT)}: use the version of artifact-store that made it.`,
  );
}

function formatOf(text: string): unknown {
  try {
    return (JSON.parse(text) as { format?: unknown }).format ?? null;
  } catch {
    return null;
  }
}

/** SQLite's file lock ends with the process, also by kill -9: there is never a stale one to remove by hand. */
async function takeLock(dir: string): Promise<{ close(): void }> {
  let lock: Database.Database | undefined;
  try {
    lock = new Database(join(dir, 'lock.sqlite'), { timeout: 0 });
    lock.pragma('locking_mode = EXCLUSIVE');
    lock.exec('BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS held (at integer); COMMIT; BEGIN EXCLUSIVE;');
    return lock;
  } catch (error) {
    lock?.close();
    const code = (error as { code?: string }).code ?? '';
    if (code.startsWith('SQLITE_BUSY')) {
      throw new DataFolderError(
        'in_use',
        `The data folder ${dir} is in use${await holderOf(dir)}: stop that service, or use another folder.`,
      );
    }
    throw notWritable(dir, error);
  }
}

async function holderOf(dir: string): Promise<string> {
  try {
    const { pid, url } = JSON.parse(await fs.readFile(join(dir, 'holder.json'), 'utf8')) as {
      pid: number;
      url: string | null;
    };
    return ` by process ${pid}${url ? ` at ${url}` : ''}`;
  } catch {
    return ' by another process';
  }
}

/** Writes a file that is never changed again: all of it or nothing, mode 0600. */
async function writeOnce(files: FileLayer, dir: string, name: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dir, `.new-${randomUUID()}`);
  const file = await files.create(temporary);
  try {
    await file.write(bytes);
    await file.sync();
    await file.close();
    await files.link(temporary, join(dir, name)).catch((error) => {
      if (!hasErrno(error, 'EEXIST')) throw error;
    });
  } finally {
    await files.unlink(temporary).catch(() => {});
  }
}
