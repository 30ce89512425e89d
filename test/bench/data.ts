import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MIB = 1024 ** 2;

/** Files that repeat from a seed, and how they change. */
export interface DataSet {
  name: string;
  title: string;
  files: number;
  /** @returns their bytes together */
  make(dir: string): number;
  /** Gives one file of a hundred, at least one, other bytes of the same size; another `generation`, others again. */
  change(dir: string, generation: number): void;
}

/** A data set in a folder. */
export interface Source {
  set: DataSet;
  dir: string;
  bytes: number;
  /** Each time others, and to other bytes. */
  change(): void;
}

export function makeSource(set: DataSet, dir: string): Source {
  let generation = 0;
  return { set, dir, bytes: set.make(dir), change: () => set.change(dir, generation++) };
}

export const DATA_SETS: DataSet[] = [
  numbered('small', '10,000 files of 1–16 KiB', 10_000, (bytes) =>
    bytes(1024 + (bytes(2).readUInt16BE() % (15 * 1024))),
  ),
  numbered('run', '400 files of a test run, 120 MB of logs', 400, logFile),
  large('large', '8 files of 256 MiB', 8, 256 * MIB),
  numbered('tiny', '100,000 files of 200 bytes', 100_000, (bytes) => bytes(200)),
];

type Draw = (size: number) => Buffer;

/** Bytes that do not compress and repeat from their seed: AES-CTR over zeros. */
export function randomSource(seed: string): Draw {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (size) => cipher.update(Buffer.alloc(size));
}

/** Files in folders of 100. */
export function numbered(name: string, title: string, files: number, bytesOf: (bytes: Draw) => Buffer): DataSet {
  const pathOf = (n: number): string => `group-${Math.floor(n / 100)}/file-${n}.log`;
  return {
    name,
    title,
    files,
    make(dir) {
      const source = randomSource(name);
      let total = 0;
      for (let n = 0; n < files; n += 1) {
        const path = join(dir, pathOf(n));
        if (n % 100 === 0) mkdirSync(dirname(path), { recursive: true });
        const bytes = bytesOf(source);
        writeFileSync(path, bytes);
        total += bytes.length;
      }
      return total;
    },
    change(dir, generation) {
      const source = randomSource(`${name} ${generation}`);
      for (let n = generation % 100; n < files; n += 100) {
        const fd = openSync(join(dir, pathOf(n)), 'r+');
        writeSync(fd, source(64), 0, 64, 0);
        closeSync(fd);
      }
    },
  };
}

export function large(name: string, title: string, files: number, size: number): DataSet {
  const pathOf = (n: number): string => `large-${n}.bin`;
  return {
    name,
    title,
    files,
    make(dir) {
      mkdirSync(dir, { recursive: true });
      for (let n = 0; n < files; n += 1) {
        const bytes = randomSource(`${name} ${n}`);
        const fd = openSync(join(dir, pathOf(n)), 'w');
        for (let left = size; left > 0; ) left -= writeSync(fd, bytes(Math.min(left, 8 * MIB)));
        closeSync(fd);
      }
      return files * size;
    },
    change(dir, generation) {
      const fd = openSync(join(dir, pathOf(generation % files)), 'r+');
      const bytes = randomSource(`${name} ${generation}`)(MIB);
      writeSync(fd, bytes, 0, bytes.length, Math.floor(size / 2));
      closeSync(fd);
    },
  };
}

const WORDS = 'INFO DEBUG WARN request response object folder type check passed skipped session token page total'.split(
  ' ',
);

/** Lines as test runs log them: words that repeat and numbers that do not; 10 KB to 1.2 MB. */
function logFile(bytes: Draw): Buffer {
  const size = 10_000 + Math.floor((bytes(4).readUInt32BE() / 2 ** 32) ** 2 * 870_000);
  const lines: string[] = [];
  for (let length = 0; length < size; ) {
    const line = lineOf(bytes(16));
    lines.push(line);
    length += line.length + 1;
  }
  return Buffer.from(lines.join('\n').slice(0, size));
}

function lineOf(draw: Buffer): string {
  const words = [...draw.subarray(4)].map((byte) => WORDS[byte % WORDS.length]);
  return `2026-11-24T12:00:${((draw.readUInt16BE(0) % 60_000) / 1_000).toFixed(3)} [main-${draw.readUInt16BE(2)}] ${words.join(' ')}`;
}
