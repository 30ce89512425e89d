import type { Dirent, StatsFs as FileSystemStats, Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import {
  constants,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  statfs,
  unlink,
} from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ByteRange } from './blob-store.ts';

/**
 * The file system as the folder backend uses it, one method per effect, so that a test can record their order, make one
 * fail, or end the process before it. Errors are node's own, with `code`.
 */
export interface FileLayer {
  /** A new file, 0600, that nobody else has open. A name that exists, even as a symlink, is EEXIST. */
  create(path: string): Promise<NewFile>;
  /** For reading. A symlink is ELOOP; a FIFO does not block. */
  open(path: string): Promise<OpenFile>;
  /** EEXIST rather than replacing anything. */
  link(from: string, to: string): Promise<void>;
  /** Replaces a file of that name. */
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** 0700; its parent must exist. */
  mkdir(path: string): Promise<void>;
  /** ENOTEMPTY rather than removing more than the directory. */
  rmdir(path: string): Promise<void>;
  /** Makes the names in a directory last. */
  syncDirectory(path: string): Promise<void>;
  /** A file, or a directory with all that is in it. Follows no symlink; absence is not an error. */
  removeTree(path: string): Promise<void>;
  lstat(path: string): Promise<Stats>;
  readdir(path: string): Promise<Dirent[]>;
  realpath(path: string): Promise<string>;
  statfs(path: string): Promise<FileSystemStats>;
}

/** A file that is being written. Close it, whatever happened. */
export interface NewFile {
  /** All of the bytes, or an error. */
  write(bytes: Uint8Array): Promise<void>;
  chmod(mode: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** A file that is being read. Close it, unless its stream was taken. */
export interface OpenFile {
  stat(): Promise<Stats>;
  /** Fills the buffer from `position` on. @returns fewer bytes than fit only at the file's end */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Takes the file over: it is closed when the stream ends or is destroyed. */
  stream(range?: ByteRange): Readable;
  close(): Promise<void>;
}

/** Few large reads cost less than many small ones; memory for each reader stays small. */
const STREAM_BUFFER = 256 * 1024;

const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY;

export const realFileLayer: FileLayer = {
  create: async (path) => newFile(await open(path, CREATE, 0o600)),
  open: async (path) => openFile(await open(path, READ)),
  link,
  rename,
  unlink,
  mkdir: (path) => mkdir(path, { mode: 0o700 }).then(() => {}),
  rmdir: (path) => rmdir(path),
  async syncDirectory(path) {
    const handle = await open(path, DIRECTORY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
  removeTree: (path) => rm(path, { recursive: true, force: true }),
  lstat: (path) => lstat(path),
  readdir: (path) => readdir(path, { withFileTypes: true }),
  realpath: (path) => realpath(path),
  statfs: (path) => statfs(path),
};

function newFile(handle: FileHandle): NewFile {
  return {
    async write(bytes) {
      // A disk that fills up takes part of a write before it refuses the next.
      for (let done = 0; done < bytes.length; ) {
        done += (await handle.write(bytes, done, bytes.length - done, null)).bytesWritten;
      }
    },
    chmod: (mode) => handle.chmod(mode),
    sync: () => handle.sync(),
    close: () => handle.close(),
  };
}

function openFile(handle: FileHandle): OpenFile {
  return {
    stat: () => handle.stat(),
    async read(buffer, position) {
      let filled = 0;
      while (filled < buffer.length) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return filled;
    },
    stream: (range) =>
      handle.createReadStream({
        highWaterMark: STREAM_BUFFER,
        ...(range && { start: range.offset, end: range.offset + range.size - 1 }),
      }),
    close: () => handle.close(),
  };
}

/** Did the file system give this error, with one of these codes (or any)? */
export function hasErrno(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) && (codes.length === 0 || codes.includes(code));
}
