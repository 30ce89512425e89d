import { hash } from 'node:crypto';
import { writeTree } from './tree.ts';

export type BagFiles = Record<string, string | Buffer>;

export interface BagSpec {
  version?: string;
  encoding?: string;
  algorithms?: string[];
  /** By their paths without data/. */
  payload?: BagFiles;
  /** Text of bag-info.txt; null: there is none. */
  info?: string | null;
  /** Further tag files. */
  tags?: BagFiles;
  /** How a name is written in a manifest. */
  write?: (path: string) => string;
  /** How the text of a tag file becomes bytes. */
  encode?: (text: string) => Buffer;
  tagManifests?: boolean;
}

const PAYLOAD: BagFiles = { 'bare-filename': 'foo\n', 'text-file.txt': 'text\n', 'sub/dir/x': 'x' };

/** The files of a bag, made as its specification says, by nothing that is tested. */
export function bagFiles({
  version = '1.0',
  encoding = 'UTF-8',
  algorithms = ['sha256'],
  payload = PAYLOAD,
  info = 'Source-Organization: Tests\n',
  tags = {},
  write = (path) => path,
  encode = (text) => Buffer.from(text),
  tagManifests = true,
}: BagSpec = {}): BagFiles {
  const files: BagFiles = {
    'bagit.txt': `BagIt-Version: ${version}\nTag-File-Character-Encoding: ${encoding}\n`,
    ...(info === null ? {} : { 'bag-info.txt': encode(info) }),
    ...tags,
  };
  const listing = (algorithm: string, listed: BagFiles) =>
    encode(
      Object.entries(listed)
        .map(([path, bytes]) => `${hash(algorithm, bytes, 'hex')}  ${write(path)}\n`)
        .join(''),
    );
  const data = Object.fromEntries(Object.entries(payload).map(([path, bytes]) => [`data/${path}`, bytes]));
  for (const algorithm of algorithms) files[`manifest-${algorithm}.txt`] = listing(algorithm, data);
  if (tagManifests) {
    const before = { ...files };
    for (const algorithm of algorithms) files[`tagmanifest-${algorithm}.txt`] = listing(algorithm, before);
  }
  return { ...files, ...data };
}

export async function writeBag(folder: string, files: BagFiles): Promise<string> {
  return writeTree(folder, files);
}

/** One file of a bag otherwise than it was; null: without it. */
export function withFile(files: BagFiles, path: string, change: (text: string) => string | Buffer | null): BagFiles {
  const { [path]: before = '', ...rest } = files;
  const after = change(before.toString());
  return after === null ? rest : { ...rest, [path]: after };
}
