import { createCipheriv, createHash } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Bytes that do not compress and repeat from their seed: AES-CTR over zeros. */
export function randomSource(seed: string): (size: number) => Buffer {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  return (size) => cipher.update(Buffer.alloc(size));
}

/** `count` files of 1 to 16 KiB in folders of 100, deterministic. @returns their bytes together */
export function makeSmallFiles(dir: string, count: number): number {
  const bytes = randomSource(`small ${count}`);
  let total = 0;
  for (let n = 0; n < count; n++) {
    const path = join(dir, `group-${Math.floor(n / 100)}`, `file-${n}.log`);
    if (n % 100 === 0) mkdirSync(dirname(path), { recursive: true });
    const size = 1024 + (bytes(2).readUInt16BE() % (14 * 1024));
    const fd = openSync(path, 'w');
    writeSync(fd, bytes(size));
    closeSync(fd);
    total += size;
  }
  return total;
}

/** `count` files of `size` bytes. @returns their bytes together */
export function makeLargeFiles(dir: string, count: number, size: number): number {
  mkdirSync(dir, { recursive: true });
  for (let n = 0; n < count; n++) {
    const bytes = randomSource(`large ${n}`);
    const fd = openSync(join(dir, `large-${n}.bin`), 'w');
    for (let left = size; left > 0; ) left -= writeSync(fd, bytes(Math.min(left, 8 * 1024 ** 2)));
    closeSync(fd);
  }
  return count * size;
}
