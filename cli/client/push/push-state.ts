import { hash } from 'node:crypto';
import { constants } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isId } from '../../../src/core/ids.ts';
import { makeFolder } from '../../../src/make-folder.ts';
import { cacheFolder } from '../tree/cache-folder.ts';

/**
 * Which package an unfinished push of this directory was making: how it continues without an external id. Whatever goes
 * wrong here makes an interrupted push start anew, and nothing else.
 */
export interface PushState {
  load(): Promise<string | null>;
  save(packageId: string): Promise<void>;
  clear(): Promise<void>;
}

export interface PushKey {
  url: string;
  /** The directory's real path. */
  directory: string;
  producer: string;
  name: string;
}

/** A fifo in the file's place would block forever. */
const READ_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** @param note news for people: an unfinished push will not be remembered */
export function pushState(
  env: Record<string, string | undefined>,
  key: PushKey,
  note: (text: string) => void = () => {},
): PushState {
  const cache = cacheFolder(env);
  if (cache === null) return { load: async () => null, save: async () => {}, clear: async () => {} };
  const folder = join(cache, 'pushes');
  const { url, directory, producer, name } = key;
  const file = join(folder, `${hash('sha256', JSON.stringify([url, directory, producer, name]), 'hex')}.json`);
  return {
    /** A file that cannot be read, or says something else, is as good as none. */
    async load() {
      try {
        const { package_id } = JSON.parse(await readFile(file, { encoding: 'utf8', flag: READ_FLAGS })) as {
          package_id?: unknown;
        };
        return typeof package_id === 'string' && isId('pkg', package_id) ? package_id : null;
      } catch {
        return null;
      }
    },
    async save(packageId) {
      const temporary = `${file}.${process.pid}`;
      try {
        makeFolder(folder, 0o700);
        await writeFile(temporary, JSON.stringify({ package_id: packageId, ...key }), { mode: 0o600 });
        await rename(temporary, file);
      } catch (error) {
        note(`going on without ${file}, so an interrupted push starts over: ${(error as Error).message}`);
        await remove(temporary);
      }
    },
    clear: () => remove(file),
  };
}

/** What stays names a package that is finalized: the next push sees that it is not unfinished. */
async function remove(file: string): Promise<void> {
  await rm(file, { force: true }).catch(() => {});
}
