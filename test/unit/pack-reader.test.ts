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
