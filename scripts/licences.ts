import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

interface Manifest {
  name: string;
  version: string;
  license?: string;
}

/** Writes the licence of every package whose code is in these modules. @throws Error that names a package without one */
export async function writeLicences(modules: readonly string[], file: string): Promise<void> {
  const folders = packageFolders(modules);
  const texts = await Promise.all(folders.map(licenceOf));
  const head = 'The files of this folder contain code of these packages, each under its own licence.\n';
  await writeFile(file, [head, ...new Set(texts)].join(`\n${'─'.repeat(80)}\n\n`));
}

/** Of the packages whose code is in these modules. */
export function packageFolders(modules: readonly string[]): string[] {
  return [...new Set(modules.map(folderOf).filter((folder) => folder !== null))].sort();
}

/** The package's folder: `…/node_modules/@scope/name`. Null: our own, or built in. */
function folderOf(module: string): string | null {
  return /^.*\/node_modules\/(@[^/]+\/)?[^/]+(?=\/)/.exec(module)?.[0] ?? null;
}

async function licenceOf(folder: string): Promise<string> {
  const { name, version, license }: Manifest = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
  const files = (await readdir(folder)).filter((file) => /^(licen[cs]e|copying|notice)/i.test(file)).sort();
  if (license === undefined && files.length === 0) throw new Error(`${name} ${version} has no licence.`);
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), 'utf8')));
  return [`${name} ${version} (${license ?? 'see below'})\n`, ...texts].join('\n');
}
