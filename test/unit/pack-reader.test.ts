import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { Examination } from '../../src/blobs/examination.ts';
import { digestOf } from '../../src/core/digest.ts';
import { readSeekTable, seekTableAt } from '../../src/core/frame-table.ts';
import type { PackMember } from '../../src/core/pack.ts';
import { PackReader } from '../../src/core/pack-reader.ts';
import { framedBlob, framedPack } from '../support/frames.ts';
import { packOf } from '../support/pack.ts';

function membersOf(bytes: Uint8Array, pieces: readonly number[] = [bytes.length], most?: number): PackMember[] | null {
  const reader = new PackReader(most);
  let at = 0;
  for (const size of [...pieces, bytes.length]) {
    reader.write(bytes.subarray(at, at + size));
    at += size;
  }
  return reader.end();
}

const contents = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 1_500 }), {
  minLength: 1,
  maxLength: 6,
  selector: (bytes) => digestOf(bytes),
});

test('the members of any pack are found, however its bytes come', (t) => {
  fc.assert(
    fc.property(contents, fc.array(fc.integer({ min: 1, max: 2_000 })), (blobs, pieces) => {
      const { bytes, members } = packOf(blobs);
      t.deepEqual(membersOf(bytes, pieces), members);
    }),
  );
});

test('a pack with any bit flipped, cut off or continued is none', (t) => {
  const { bytes } = packOf(['one', randomBytes(600), 'three'.repeat(200)]);
  for (let at = 0; at < bytes.length; at += 1) {
    const other = Buffer.from(bytes);
    other.writeUInt8((bytes[at] as number) ^ (1 << (at % 8)), at);
    if (membersOf(other) !== null) t.fail(`byte ${at}`);
  }
  for (const cut of [0, 1, 511, 512, 1_024, bytes.length - 513, bytes.length - 1])
    t.is(membersOf(bytes.subarray(0, cut)), null, `${cut} bytes`);
  t.is(membersOf(Buffer.concat([bytes, Buffer.alloc(1)])), null);
  t.is(membersOf(Buffer.alloc(1_024)), null, 'an empty tar file');
  t.is(membersOf(bytes, [bytes.length], 2), null, 'more members than any pack has');
});

/** Other ways in which tar files say the same (POSIX, GNU), or something else: written over a header, the checksum made right again. */
const HEADERS: ReadonlyArray<readonly [what: string, at: number, bytes: string]> = [
  ['a name with ./', 0, './sha256/'],
  ['upper case', 7, 'ABCDEF'],
  ['another mode', 100, '0000644\0'],
  ['an owner', 108, '0001750\0'],
  ['a size with blanks', 124, '       1130 '],
  ['a size without leading zeros', 124, '1130\0\0\0\0\0\0\0\0'],
  ['a size in base 256', 124, '\x80\0\0\0\0\0\0\0\0\0\x02\x58'],
  ['a time', 136, '14000000000\0'],
  ['an old file', 156, '\0'],
  ['a link', 156, '1'],
  ['an extended header', 156, 'x'],
  ['a link name', 157, 'x'],
  ['a GNU header', 257, 'ustar  \0'],
  ['a user name', 265, 'root'],
  ['a prefix', 345, 'x'],
];

test('a pack has one spelling: what other tar files say in other words is none', (t) => {
  const { bytes } = packOf(['x'.repeat(600)]);
  t.is(bytes.toString('latin1', 124, 136), '00000001130\0');
  for (const [what, at, text] of HEADERS) {
    const other = Buffer.from(bytes);
    other.write(text, at, 'latin1');
    other.fill(' ', 148, 156, 'latin1');
    const sum = other.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    other.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    t.is(membersOf(other), null, what);
  }
  for (const checksum of [' 12345\0 ', '012345 \0', '0012345\0']) {
    const other = Buffer.from(bytes);
    other.write(checksum, 148, 'latin1');
    t.is(membersOf(other), null, checksum);
  }
});

test('whatever bytes are taken for a pack are the pack of its members', (t) => {
  const blocks = contents.chain((blobs) => {
    const { bytes } = packOf(blobs);
    const all = Array.from({ length: bytes.length / 512 }, (_, n) => bytes.subarray(512 * n, 512 * n + 512));
    // Some left out, some twice, some in another order, some that are none.
    const any = fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(...all) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 600 }) },
    );
    return fc.oneof(fc.constant(all), fc.array(any, { maxLength: all.length + 2 }), fc.subarray(all));
  });
  let taken = 0;
  fc.assert(
    fc.property(blocks, (list) => {
      const bytes = Buffer.concat(list);
      const members = membersOf(bytes);
      if (members === null) return;
      taken += 1;
      const blobs = members.map(({ offset, size }) => bytes.subarray(offset, offset + size));
      t.deepEqual(packOf(blobs).bytes, bytes);
    }),
    { numRuns: 1_000 },
  );
  t.true(taken > 100, `${taken}`);
});

test('frames are recognized by the table at their end, and what only looks so is not', (t) => {
  const objects = [
    framedPack(['a'.repeat(4_000), 'b'.repeat(9_000)], [1, 1]),
    framedBlob(Buffer.alloc(3_000_000, 'x')),
  ];
  for (const { bytes, content, members } of objects) {
    const size = seekTableAt(bytes.subarray(-9)) as number;
    const table = readSeekTable(bytes.subarray(-size), bytes.length);
    const examination = new Examination(table?.encode() ?? null);
    examination.write(bytes);
    const { stored, decoded } = examination.end();
    t.is(stored.digest, digestOf(bytes));
    t.deepEqual(decoded, { digest: digestOf(content), size: content.length, members: members.length ? members : null });
    t.is(readSeekTable(bytes.subarray(-size), bytes.length + 1), null, 'of an object of another size');

    for (let at = 0; at < size; at += 1) {
      const other = Buffer.from(bytes);
      const place = bytes.length - size + at;
      other.writeUInt8((other[place] as number) ^ 1, place);
      const length = seekTableAt(other.subarray(-9));
      const found =
        length === null || length > other.length ? null : readSeekTable(other.subarray(-length), other.length);
      const again = new Examination(found?.encode() ?? null);
      again.write(other);
      t.is(again.end().decoded, null, `byte ${at} of the table`);
    }
    const broken = Buffer.from(bytes);
    broken.writeUInt8((broken[10] as number) ^ 1, 10);
    const last = new Examination(table?.encode() ?? null);
    last.write(broken);
    t.is(last.end().decoded?.digest === digestOf(content), false, 'a frame that is broken');
  }
});
