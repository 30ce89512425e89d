import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeWholeFile } from './whole-file.ts';

/** All of the bytes or nothing, and on the disk when it returns; the same again is harmless. @throws CliError as makeWholeFile does */
export async function saveSmallFile(file: string, bytes: Buffer): Promise<void> {
  // Whatever else stands there is refused below.
  if ((await readFile(file).catch(() => null))?.equals(bytes)) return;
  await makeWholeFile(file, (folder, name) => write(join(folder, name), bytes), 'Free some space, then run it again.');
}

async function write(file: string, bytes: Buffer): Promise<void> {
  const handle = await open(file, 'wx');
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
