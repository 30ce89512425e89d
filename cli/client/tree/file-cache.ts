import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from 'better-sqlite3';
import { comparePaths } from '../../../src/core/logical-path.ts';
import { makeFolder } from '../../../src/make-folder.ts';
import { cacheFolder } from './cache-folder.ts';
import { decodeEntry, encodeEntry } from './file-cache-entry.ts';
import type { FileIndex, FileList } from './file-list.ts';

/** A file that was touched so shortly before it was read may be written once more without its times telling. */
const RACY_MS = 2_000;
/** Entries that no push has seen for so long go. */
const KEPT_DAYS = 90;
/** How fine `seen` is: an unchanged tree need not be written again with every push. */
const SEEN_DAYS = 7;
/** Pages of 4 KiB, some two million files: a full cache starts again. */
const MOST_PAGES = 128 * 1024;
const BUSY_MS = 1_000;
const DAY_MS = 86_400_000;

/** Another schema is another file: versions of this software do not disturb each other. */
const FILE_NAME = 'files.2.sqlite';
const SCHEMA =
  'CREATE TABLE IF NOT EXISTS files (path TEXT PRIMARY KEY, seen INTEGER NOT NULL, entry BLOB NOT NULL) WITHOUT ROWID';

interface CacheOptions {
  env: Record<string, string | undefined>;
  /** News for people: what is wrong with the cache, once. */
  note?: ((text: string) => void) | undefined;
  /** Milliseconds since 1970. */
  now?: () => number;
}

/**
 * Remembers digests of files, and what secrets they have, between pushes, so that an unchanged tree is not read again. A file is known by its
 * path and its identity (device, inode, size, mtime, ctime): whatever of these differs makes it unknown. Whatever goes
 * wrong here makes a push slower and nothing else.
 */
export class FileCache {
  readonly #file: string;
  readonly #note: (text: string) => void;
  readonly #now: () => number;
  #db: Database | null = null;

  private constructor(file: string, { note, now }: CacheOptions) {
    this.#file = file;
    this.#note = note ?? (() => {});
    this.#now = now ?? Date.now;
  }

  static async open(options: CacheOptions): Promise<FileCache> {
    const folder = cacheFolder(options.env);
    const cache = new FileCache(join(folder ?? '', FILE_NAME), options);
    try {
      if (folder === null) throw new Error('this user has no home: set XDG_CACHE_HOME');
      const { default: Sqlite } = await import('better-sqlite3');
      makeFolder(folder, 0o700);
      cache.#db = new Sqlite(cache.#file, { timeout: BUSY_MS });
    } catch (error) {
      cache.#giveUp(error);
    }
    cache.#try((db) => {
      db.pragma('journal_mode = WAL');
      // A torn page after a power failure shows: every entry has a checksum.
      db.pragma('synchronous = OFF');
      // Rows come in the order of the table: pages need not be kept. KiB, as SQLite counts.
      db.pragma('cache_size = -1000');
      db.pragma(`max_page_count = ${MOST_PAGES}`);
      db.exec(SCHEMA);
    });
    return cache;
  }

  /**
   * Gives every file that is known its digest and secrets: one query for the whole directory.
   * @param scanned a file that was not looked through for secrets, or by other rules, is not known
   */
  load(files: FileList, scanned = false): void {
    this.#try((db) => {
      const [first, behind] = range(files.root);
      const rows = db.prepare('SELECT path, seen, entry FROM files WHERE path > ? AND path < ? ORDER BY path').raw();
      const gone: string[] = [];
      let oldest = Number.POSITIVE_INFINITY;
      let next = 0;
      for (const row of rows.iterate(first, behind)) {
        const [key, seen, entry] = row as [string, number, Buffer];
        const path = key.slice(first.length);
        while (next < files.length && files.path(next) !== path && comparePaths(files.path(next), path) < 0) next += 1;
        if (next >= files.length || files.path(next) !== path) {
          gone.push(key);
          continue;
        }
        oldest = Math.min(oldest, seen);
        const known = decodeEntry(key, files.identityBytes(next), entry);
        if (known && (known.secrets !== null || !scanned)) {
          files.setDigest(next, known.digest, known.parts);
          if (known.secrets !== null) files.setSecrets(next, known.secrets);
        }
        next += 1;
      }
      this.#tidy(db, files.root, gone, oldest);
    });
  }

  /**
   * Remembers files that have a digest.
   * @param readAt when the first of them was read (milliseconds since 1970): those touched just before are left out
   */
  save(files: FileList, indexes: Iterable<FileIndex>, readAt: number): void {
    this.#try((db) => {
      const [first] = range(files.root);
      const put = db.prepare(`INSERT INTO files (path, seen, entry) VALUES (?, ?, ?)
        ON CONFLICT (path) DO UPDATE SET seen = excluded.seen, entry = excluded.entry`);
      const seen = this.#today();
      const all = db.transaction(() => {
        for (const index of indexes) {
          if (files.touchedAt(index) > readAt - RACY_MS) continue;
          const key = first + files.path(index);
          const value = { digest: files.rawDigest(index), parts: files.parts(index), secrets: files.secrets(index) };
          put.run(key, seen, encodeEntry(key, files.identityBytes(index), value));
        }
      });
      all.immediate();
    });
  }

  close(): void {
    try {
      this.#db?.close();
    } catch {}
    this.#db = null;
  }

  /** What the directory no longer has goes; what no push has seen for long goes; what was seen now is marked so. */
  #tidy(db: Database, root: string, gone: readonly string[], oldest: number): void {
    const today = this.#today();
    const stale = oldest < today - SEEN_DAYS;
    if (gone.length === 0 && !stale) return;
    const all = db.transaction(() => {
      const remove = db.prepare('DELETE FROM files WHERE path = ?');
      for (const path of gone) remove.run(path);
      if (!stale) return;
      db.prepare('UPDATE files SET seen = ? WHERE path > ? AND path < ?').run(today, ...range(root));
      db.prepare('DELETE FROM files WHERE seen < ?').run(today - KEPT_DAYS);
    });
    all.immediate();
  }

  #today(): number {
    return Math.floor(this.#now() / DAY_MS);
  }

  #try(work: (db: Database) => void): void {
    try {
      if (this.#db) work(this.#db);
    } catch (error) {
      this.#giveUp(error);
    }
  }

  /** A cache that fails is left alone for this push; one that is broken or full is thrown away, for the next. */
  #giveUp(error: unknown): void {
    const { code = '', message } = error as { code?: string; message: string };
    this.#note(`going on without the cache ${this.#file}: ${message}`);
    this.close();
    if (!/^SQLITE_(CORRUPT|NOTADB|FULL)/.test(code)) return;
    try {
      for (const end of ['', '-wal', '-shm']) rmSync(this.#file + end, { force: true });
    } catch {}
  }
}

/** Every path below a folder is between these two: `/` and `0` follow each other. */
function range(root: string): [string, string] {
  const above = root === '/' ? '' : root;
  return [`${above}/`, `${above}0`];
}
