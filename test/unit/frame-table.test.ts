import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import {
  checkFrameTable,
  cutPackFrames,
  FrameTable,
  frameSizeMax,
  readSeekTable,
  SEEK_TABLE_FOOTER_SIZE,
  seekTableAt,
} from '../../src/core/frame-table.ts';
import { layoutPack } from '../../src/core/pack.ts';
import { compressFrame, FrameError } from '../../src/core/zstd-frame.ts';
import { required } from '../support/required.ts';
import { ZSTD, type Zstd } from '../support/zstd.ts';

const zstd = await required('Reading frames with another program', ZSTD);
if (zstd !== null) othersReadFrames(zstd);

const sizes = fc.record({ stored: fc.integer({ min: 1, max: 5_000 }), logical: fc.integer({ min: 1, max: 9_000 }) });
const frames = fc.array(sizes, { minLength: 1, maxLength: 60 });

test('a table survives its encoding, and says where each frame stands', (t) => {
  fc.assert(
    fc.property(frames, (list) => {
      const table = FrameTable.decode(FrameTable.of(list).encode());
      t.deepEqual(
        [...table].map(({ stored, logical }) => ({ stored, logical })),
        list,
      );
      t.is(
        table.logicalSize,
        list.reduce((sum, { logical }) => sum + logical, 0),
      );
      t.is(table.seekTable().length, table.storedSize - table.framesSize);
    }),
  );
});

/** Frames as they can be: none empty or too large. */
const possible = fc.array(
  fc
    .integer({ min: 1, max: 4 * 1024 ** 2 })
    .chain((logical) =>
      fc.record({ logical: fc.constant(logical), stored: fc.integer({ min: 1, max: frameSizeMax(logical) }) }),
    ),
  { minLength: 1, maxLength: 20 },
);

test('a seek table is read as it was written, and with any byte changed, more or fewer it is none or another', (t) => {
  fc.assert(
    fc.property(possible, fc.nat(), fc.integer({ min: 1, max: 255 }), (list, at, bits) => {
      const table = FrameTable.of(list);
      const bytes = table.seekTable();
      t.is(seekTableAt(bytes.subarray(-SEEK_TABLE_FOOTER_SIZE)), bytes.length);
      t.deepEqual(readSeekTable(bytes, table.storedSize)?.encode(), table.encode());
      t.is(readSeekTable(bytes, table.storedSize + 1), null);
      t.is(readSeekTable(bytes.subarray(1), table.storedSize), null);
      t.is(readSeekTable(Buffer.concat([bytes, Buffer.alloc(1)]), table.storedSize), null);
      const place = at % bytes.length;
      const changed = Buffer.from(bytes);
      changed.writeUInt8((bytes[place] as number) ^ bits, place);
      const other = readSeekTable(changed, table.storedSize);
      t.true(other === null || other.seekTable().equals(changed));
    }),
  );
});

test('any bytes are the one spelling of a seek table, or none', (t) => {
  const magic = fc
    .constantFrom('5e2a4d18', 'b1ea928f', '00000000', '01000000', 'ffffffff')
    .map((hex) => Buffer.from(hex, 'hex'));
  const pieces = fc.array(
    fc.oneof(
      magic,
      fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
    ),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(pieces, fc.nat(), (list, size) => {
      const bytes = Buffer.concat(list);
      const length = seekTableAt(bytes.subarray(-SEEK_TABLE_FOOTER_SIZE));
      t.true(length === null || length >= 25);
      const read = readSeekTable(bytes, size);
      t.true(read === null || read.seekTable().equals(bytes));
      try {
        t.deepEqual(FrameTable.decode(bytes).encode(), bytes);
      } catch (error) {
        t.true(error instanceof FrameError);
      }
    }),
    { numRuns: 2_000 },
  );
});

test('the frames that cover a range are those that overlap it', (t) => {
  const withRange = frames.chain((list) => {
    const size = list.reduce((sum, { logical }) => sum + logical, 0);
    return fc.tuple(fc.constant(list), fc.nat(size - 1), fc.nat(size - 1));
  });
  fc.assert(
    fc.property(withRange, ([list, a, b]) => {
      const [offset, end] = [Math.min(a, b), Math.max(a, b) + 1];
      const table = FrameTable.of(list);
      const { first, last, storedAt, stored } = table.covering({ offset, size: end - offset });
      const overlapping = [...table].filter(
        ({ logicalAt, logical }) => logicalAt < end && logicalAt + logical > offset,
      );
      t.deepEqual(overlapping, [...table].slice(first, last + 1));
      t.is(storedAt, overlapping[0]?.storedAt ?? -1);
      t.is(
        stored,
        overlapping.reduce((sum, frame) => sum + frame.stored, 0),
      );
    }),
  );
});

const memberSizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 40 });
const packOf = (list: readonly number[]) =>
  layoutPack(list.map((size, index) => ({ digest: digestOf(`${index}`), size })));

test('frames of a pack end where members end, about as large as wanted', (t) => {
  fc.assert(
    fc.property(memberSizes, fc.integer({ min: 1_000, max: 300_000 }), (list, target) => {
      const { members, size } = packOf(list);
      const cut = cutPackFrames(members, size, target);
      const table = FrameTable.of(cut.map((logical) => ({ stored: 1, logical })));
      t.notThrows(() => checkFrameTable(table, { size, storedSize: table.storedSize, members }));
      // Each frame but the last two could not have taken the member after it as well.
      for (const [index, logical] of cut.slice(0, -2).entries()) t.true(logical + (cut[index + 1] ?? 0) > target);
    }),
  );
});

test('tables that are not of this object are refused, and say why', (t) => {
  const { members, size } = packOf([300, 5_000, 70, 9_000]);
  const object = { size, members };
  const cut = cutPackFrames(members, size, 6_000);
  const check = (logical: readonly number[], change: { size?: number; storedSize?: number } = {}) => {
    const table = FrameTable.of(logical.map((bytes) => ({ stored: bytes === 0 ? 0 : 10, logical: bytes })));
    checkFrameTable(table, { storedSize: table.storedSize, ...object, ...change });
  };
  t.notThrows(() => check(cut));
  const refused = (message: RegExp, work: () => void) => t.throws(work, { instanceOf: FrameError, message });
  refused(/no frames/, () => check([]));
  refused(/empty frame/, () => check([...cut, 0]));
  refused(/not \d+/, () => check([...cut, 512]));
  refused(/with these frames it has/, () => check(cut, { storedSize: 1_000_000 }));
  refused(/where no member ends/, () => check([size - 100, 100]));
  refused(/where no member ends/, () => check([512, size - 512]));
  refused(/at most/, () => check([size, 5 * 1024 ** 2], { size: size + 5 * 1024 ** 2 }));
});

function othersReadFrames(zstd: Zstd): void {
  test('zstd reads such an object: frames, then the seek table', (t) => {
    const content = Buffer.concat([randomBytes(1_000), Buffer.from('words '.repeat(100_000))]);
    const cut = [100_000, 300_000, content.length - 400_000];
    const table: Array<{ stored: number; logical: number }> = [];
    const pieces: Buffer[] = [];
    let at = 0;
    for (const logical of cut) {
      const frame = compressFrame(content.subarray(at, at + logical), 1);
      pieces.push(frame);
      table.push({ stored: frame.length, logical });
      at += logical;
    }
    const object = Buffer.concat([...pieces, FrameTable.of(table).seekTable()]);
    t.deepEqual(zstd.run(['-d'], object), content);
  });
}
