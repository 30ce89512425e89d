import { hash } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isId } from '../../src/core/ids.ts';
import { cacheFolder } from './cache-folder.ts';

/** Which package an unfinished push of this directory was making: how it continues without an external id. */
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

export function pushState(env: Record<string, string | undefined>, key: PushKey): PushState {
  const folder = join(cacheFolder(env), 'pushes');
  const { url, directory, producer, name } = key;
  const file = join(folder, `${hash('sha256', JSON.stringify([url, directory, producer, name]), 'hex')}.json`);
  return {
    /** A file that cannot be read, or says something else, is as good as none. */
    async load() {
      try {
        const { package_id } = JSON.parse(await readFile(file, 'utf8')) as { package_id?: unknown };
        return typeof package_id === 'string' && isId('pkg', package_id) ? package_id : null;
      } catch {
        return null;
      }
    },
    async save(packageId) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const temporary = `${file}.${process.pid}`;
      const handle = await open(temporary, 'w', 0o600);
      try {
        await handle.writeFile(JSON.stringify({ package_id: packageId, ...key }));
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    },
    async clear() {
      await rm(file, { force: true });
    },
  };
}
