import { type FileHandle, open } from 'node:fs/promises';

/** Makes durable what was written to a file so far; as `fdatasync` does. */
export type SyncData = (file: FileHandle) => Promise<void>;

/**
 * The write-ahead log of a SQLite file. SQLite's own `synchronous = FULL` syncs it at each COMMIT while the whole service
 * waits; this does the same in a thread, after a COMMIT that SQLite did with `synchronous = NORMAL`. In WAL mode those two
 * differ in nothing else (https://www.sqlite.org/pragma.html#pragma_synchronous): the log is synced before a checkpoint
 * in both, and a log that was torn ends with its last whole transaction.
 */
export class WalFile {
  readonly #path: string;
  readonly #syncData: SyncData;
  #file: Promise<FileHandle> | null = null;

  /** @param database the SQLite file; its log exists from the first COMMIT until the last connection is closed */
  constructor(database: string, syncData: SyncData) {
    this.#path = `${database}-wal`;
    this.#syncData = syncData;
  }

  /** When it returns, every transaction that was committed before survives a power failure. @throws the system's error */
  async sync(): Promise<void> {
    this.#file ??= open(this.#path);
    try {
      await this.#syncData(await this.#file);
    } catch (error) {
      // Opened anew the next time: a failure to open it must not last.
      await this.close();
      // Without a log nothing was ever committed to it.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await (await file?.catch(() => null))?.close();
  }
}
