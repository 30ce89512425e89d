import { readdirSync, renameSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';

/**
 * Somebody who may write in the directory of a pull and wants it to write elsewhere: again and again every folder in it,
 * the pull's own one too, gives its place to a symlink for a moment; and the directory itself, once the pull is in it.
 * Ends when its standard input ends, with every folder back in its place as far as that is free, and says how often it
 * swapped.
 */
const [root = '', outside = ''] = process.argv.slice(2);
const away = `${root}.away`;
let swaps = 0;
let ended = false;

function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

function swap(folder: string): void {
  const aside = `${away}-${swaps}`;
  if (!attempt(() => renameSync(folder, aside))) return;
  if (attempt(() => symlinkSync(outside, folder))) {
    swaps += 1;
    attempt(() => readdirSync(folder));
    attempt(() => unlinkSync(folder));
  }
  // What the pull made there meanwhile is empty, or stays.
  if (!attempt(() => renameSync(aside, folder))) attempt(() => replace(folder, aside));
}

function replace(folder: string, aside: string): void {
  rmdirSync(folder);
  renameSync(aside, folder);
}

function foldersIn(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(folder, name));
}

function round(): void {
  const folders = foldersIn(root);
  for (const folder of folders) swap(folder);
  for (const folder of folders.flatMap(foldersIn)) swap(folder);
  if (folders.some((folder) => folder.startsWith(join(root, '.artifact-store-pull-')))) swap(root);
}

async function main(): Promise<void> {
  process.stdin.resume().once('end', () => {
    ended = true;
  });
  while (!ended) {
    attempt(round);
    await turn();
  }
  process.stdout.write(`${swaps}\n`);
}

main();
