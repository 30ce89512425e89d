import type { FileIndex, FileList } from '../client/tree/file-list.ts';
import { type ManifestFile, parseManifestLine } from './bag-manifest.ts';
import { badBag } from './bag-problems.ts';
import type { BagDeclaration } from './declaration.ts';
import { tagLines } from './tag-lines.ts';

/** What one manifest says of the bag's files. */
export interface ListedFiles {
  manifest: ManifestFile;
  /** By the file's index: its digest in hex. */
  digests: ReadonlyMap<FileIndex, string>;
  /** Listed, and not there. */
  missing: string[];
  /** For people: names in another Unicode form than the file's, files that are listed twice. */
  warnings: string[];
}

const BEYOND_ASCII = /[^\p{ASCII}]/u;

/** Finds files whatever Unicode form their names have in a manifest: some systems change it. */
export class FileFinder {
  readonly #files: FileList;
  #next = 0;
  #byForm: Map<string, FileIndex> | null = null;

  constructor(files: FileList) {
    this.#files = files;
  }

  /** @returns the index, or null; `isOther`: by another form of the name */
  find(path: string): { index: FileIndex; isOther: boolean } | null {
    const index = this.#files.indexOf(path, this.#next);
    if (index !== -1) {
      this.#next = index + 1;
      return { index, isOther: false };
    }
    if (!BEYOND_ASCII.test(path)) return null;
    const other = this.#forms().get(path.normalize('NFC'));
    return other === undefined ? null : { index: other, isOther: true };
  }

  #forms(): Map<string, FileIndex> {
    if (this.#byForm !== null) return this.#byForm;
    this.#byForm = new Map();
    for (let index = 0; index < this.#files.length; index += 1) {
      const path = this.#files.path(index);
      if (BEYOND_ASCII.test(path)) this.#byForm.set(path.normalize('NFC'), index);
    }
    return this.#byForm;
  }
}

/** Reads a manifest. @throws CliError bag_invalid */
export async function readListed(
  files: FileList,
  manifest: ManifestFile,
  declaration: BagDeclaration,
): Promise<ListedFiles> {
  const { name } = manifest;
  const finder = new FileFinder(files);
  const digests = new Map<FileIndex, string>();
  const missing: string[] = [];
  const warnings: string[] = [];
  let number = 0;
  for await (const line of tagLines(files.absolute(files.indexOf(name)), name, declaration.encoding)) {
    number += 1;
    const entry = parseManifestLine(line, number, manifest, declaration);
    if (entry === null) continue;
    const { path, digest } = entry;
    const found = finder.find(path);
    if (found === null) {
      missing.push(path);
      continue;
    }
    const { index, isOther } = found;
    const before = digests.get(index);
    if (before !== undefined && (declaration.isFinal || before !== digest)) {
      const how = before === digest ? 'twice' : 'twice, with two digests';
      throw badBag(`${name}, line ${number}: ${JSON.stringify(path)} is listed ${how}.`);
    }
    if (before !== undefined) warnings.push(`${name} lists ${JSON.stringify(path)} twice.`);
    if (isOther) warnings.push(`${name} has the name ${JSON.stringify(path)} in another Unicode form than the file.`);
    digests.set(index, digest);
  }
  return { manifest, digests, missing, warnings };
}
