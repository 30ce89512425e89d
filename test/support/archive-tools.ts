import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { Requirement } from './required.ts';

const exec = promisify(execFile);

/** Programs that people unpack archives with, none of them ours. */
export const ARCHIVE_TOOLS: Requirement<true> = {
  what: 'tar, zstd, unzip, bsdtar, 7z and python3',
  how: 'Install them (Debian: apt-get install zstd unzip libarchive-tools p7zip-full python3).',
  async start() {
    for (const [program, ...words] of [
      ['tar', '--version'],
      ['zstd', '--version'],
      ['unzip', '-v'],
      ['bsdtar', '--version'],
      ['7z', 'i'],
      ['python3', '--version'],
    ] as const)
      await exec(program, words);
    return true;
  },
};

const PYTHON_ZIP = `
import sys, zipfile, os
with zipfile.ZipFile(sys.argv[1]) as z:
    assert z.testzip() is None
    z.extractall(sys.argv[2])
`;
const PYTHON_TAR = `
import sys, tarfile
with tarfile.open(sys.argv[1]) as t:
    t.extractall(sys.argv[2], filter='data')
`;

/** What each program is asked, to unpack a file into an empty folder. */
const UNPACK: Record<string, Record<string, (file: string, into: string) => string[]>> = {
  tar: {
    tar: (file, into) => ['tar', '-xf', file, '-C', into],
    bsdtar: (file, into) => ['bsdtar', '-xf', file, '-C', into],
    python: (file, into) => ['python3', '-c', PYTHON_TAR, file, into],
    '7z': (file, into) => ['7z', 'x', '-y', `-o${into}`, file],
  },
  'tar.zst': {
    tar: (file, into) => ['tar', '--zstd', '-xf', file, '-C', into],
    bsdtar: (file, into) => ['bsdtar', '-xf', file, '-C', into],
  },
  zip: {
    unzip: (file, into) => ['unzip', '-q', file, '-d', into],
    bsdtar: (file, into) => ['bsdtar', '-xf', file, '-C', into],
    python: (file, into) => ['python3', '-c', PYTHON_ZIP, file, into],
    '7z': (file, into) => ['7z', 'x', '-y', `-o${into}`, file],
  },
};

export function unpackersOf(format: string): string[] {
  return Object.keys(UNPACK[format] ?? {});
}

/** @param into a folder that is not there yet @throws what the program says when it does not like the file */
export async function unpackWith(tool: string, format: string, file: string, into: string): Promise<void> {
  await mkdir(into);
  const [program, ...words] = UNPACK[format]?.[tool]?.(file, into) ?? [];
  // Names are UTF-8, whatever the machine's language is; times of zip's old field are local.
  const env = { ...process.env, LC_ALL: 'C.UTF-8', TZ: 'UTC' };
  await exec(program as string, words, { env, maxBuffer: 64 * 1024 ** 2 });
}
