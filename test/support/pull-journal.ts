import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** The private folders of pulls in a directory. */
export async function privateFolders(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.filter((name) => name.startsWith('.artifact-store-pull-')).map((name) => join(directory, name));
}

/** The ranges that a pull into the directory has written down, of whatever file. */
export async function journaled(directory: string): Promise<number> {
  let ranges = 0;
  for (const folder of await privateFolders(directory)) {
    for (const name of await readdir(folder)) {
      if (name.endsWith('.ranges')) ranges += (await readFile(join(folder, name), 'utf8')).split('\n').length - 2;
    }
  }
  return ranges;
}

/** Waits until the pull has written down so many. */
export async function untilJournaled(directory: string, ranges: number): Promise<void> {
  while ((await journaled(directory)) < ranges) await sleep(5);
}
