import { execFile } from 'node:child_process';
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { TAR_END, type TarMember, tarHeader, tarPadding } from '../../src/core/tar.ts';
import { sha256 } from '../support/api.ts';
import { STRANGE_NAMES } from '../support/attested.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

const run = promisify(execFile);
const MTIME = 1_700_000_000;

function tarOf(files: Record<string, Buffer>): Buffer {
  const members = Object.entries(files).flatMap(([path, bytes]) => {
    const executable = bytes.length % 2 === 1;
    return [tarHeader({ path, size: bytes.length, executable, mtime: MTIME }), bytes, tarPadding(bytes.length)];
  });
  return Buffer.concat([...members, TAR_END as Buffer]);
}

async function unpacked(t: ExecutionContext, tar: Buffer): Promise<string> {
  const folder = await tempFolder(t);
  await writeFile(join(folder, 'a.tar'), tar);
  await mkdir(join(folder, 'into'));
  await run('tar', ['-xf', 'a.tar', '-C', 'into'], { cwd: folder });
  return join(folder, 'into');
}

test('tar unpacks every name, of any length, with its bytes, mode and time', async (t) => {
  const lengths = [1, 99, 100, 101, 154, 155, 156, 254, 255, 256, 257, 500, 999, 1_000, 1_023, 1_024];
  const long = lengths.flatMap((length) => [
    [`${'d/'.repeat(length)}`.slice(0, length - 1).padEnd(length, 'x'), Buffer.alloc(length, 1)] as const,
    [
      `ü${`${'n'.repeat(200)}/`.repeat(9)}`.slice(0, Math.max(1, length - 2)).replace(/\/$/, 'z'),
      Buffer.alloc(length),
    ] as const,
  ]);
  const strange = Object.entries(STRANGE_NAMES).map(([name, text]) => [`package/${name}`, Buffer.from(text)] as const);
  const files = Object.fromEntries([...strange, ...long].map(([path, bytes], index) => [`${index}.${path}`, bytes]));
  const folder = await unpacked(t, tarOf(files));
  const expected = Object.entries(files).map(([path, bytes]) => [path, sha256(bytes).slice(7)]);
  t.deepEqual(await readTree(folder), Object.fromEntries(expected));
  for (const [path, { length }] of Object.entries(files)) {
    const { mode, mtimeMs } = await stat(join(folder, path));
    t.is(mode & 0o111, length % 2 === 1 ? 0o111 : 0, path);
    t.is(mtimeMs, MTIME * 1_000);
  }
});

test('headers are whole blocks, and say what an extended header must', (t) => {
  const segment = fc.string({ minLength: 1, maxLength: 60, unit: fc.constantFrom('a', 'é', '日', '😀') });
  const path = fc.array(segment, { minLength: 1, maxLength: 30 }).map((segments) => segments.join('/'));
  fc.assert(
    fc.property(path, fc.maxSafeNat(), fc.boolean(), (name, size, executable) => {
      const member: TarMember = { path: name, size, executable, mtime: MTIME };
      const header = tarHeader(member);
      t.is(header.length % 512, 0);
      const isExtended = header.toString('latin1', 156, 157) === 'x';
      t.is(isExtended, header.length > 512);
      const text = header.toString();
      if (isExtended) {
        const length = Number.parseInt(header.toString('latin1', 124, 135), 8);
        for (let at = 512; at < 512 + length; ) {
          const record = Number.parseInt(header.toString('latin1', at, at + 10), 10);
          t.is(header[at + record - 1], 0x0a);
          at += record;
        }
      }
      const own = header.subarray(-512);
      const end = (from: number, most: number) =>
        own
          .subarray(from, from + most)
          .toString()
          .replace(/\0.*$/s, '');
      const [prefix, last] = [end(345, 155), end(0, 100)];
      const said = prefix === '' ? last : `${prefix}/${last}`;
      t.true(said === name || text.includes(` path=${name}\n`), name);
      const saidSize = Number.parseInt(own.toString('latin1', 124, 135), 8);
      t.true(saidSize === size || text.includes(` size=${size}\n`), String(size));
    }),
  );
});

test('the same members are the same bytes', (t) => {
  t.deepEqual(tarOf({ a: Buffer.from('A') }), tarOf({ a: Buffer.from('A') }));
  t.is(tarPadding(0).length, 0);
  t.is(tarPadding(512).length, 0);
  t.is(tarPadding(513).length, 511);
});
