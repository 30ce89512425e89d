import { readFile } from 'node:fs/promises';

/** A file that is packed beside dist/: one folder up from src/, two from dist/cli/. @param path `docs/errors.md` */
export async function readPacked(path: string): Promise<string> {
  return readFile(new URL(`../${path}`, import.meta.url), 'utf8').catch(() =>
    readFile(new URL(`../../${path}`, import.meta.url), 'utf8'),
  );
}
