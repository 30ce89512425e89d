import test from 'ava';
import fc from 'fast-check';
import { FrameDecoder } from '../../src/core/frame-decoder.ts';
import { FrameTable } from '../../src/core/frame-table.ts';
import { compressFrame, FrameError } from '../../src/core/zstd-frame.ts';

interface Encoded {
  content: Buffer;
  object: Buffer;
  table: FrameTable;
}

/** An object whose frames hold these contents. */
function encode(contents: readonly Uint8Array[]): Encoded {
  const frames = contents.map((content) => compressFrame(content, 1));
  const table = FrameTable.of(
    frames.map((frame, index) => ({ stored: frame.length, logical: (contents[index] as Uint8Array).length })),
  );
  return { content: Buffer.concat(contents), object: Buffer.concat([...frames, table.seekTable()]), table };
}

function decodeAll(decoder: FrameDecoder, bytes: Buffer, step: number): Buffer {
  const contents: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += step) contents.push(...decoder.write(bytes.subarray(at, at + step)));
  decoder.end();
  return Buffer.concat(contents);
}

const contents = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { minLength: 1, maxLength: 12 });

test('the content comes back, in whatever pieces the object comes', (t) => {
  fc.assert(
    fc.property(contents, fc.integer({ min: 1, max: 2_000 }), (list, step) => {
      const { content, object, table } = encode(list);
      t.deepEqual(decodeAll(FrameDecoder.whole(table), object, step), content);
    }),
  );
});

test('any range comes from the frames that cover it', (t) => {
  fc.assert(
    fc.property(contents, fc.nat(), fc.nat(), (list, a, b) => {
      const { content, object, table } = encode(list);
      const offset = a % content.length;
      const size = 1 + (b % (content.length - offset));
      const { first, last, storedAt, stored } = table.covering({ offset, size });
      const bytes = decodeAll(
        FrameDecoder.frames(table, first, last),
        object.subarray(storedAt, storedAt + stored),
        50,
      );
      const skip = offset - table.at(first).logicalAt;
      t.deepEqual(bytes.subarray(skip, skip + size), content.subarray(offset, offset + size));
    }),
  );
});

test('an object that is shorter or longer, or has another seek table, is refused', (t) => {
  const { object, table } = encode([Buffer.alloc(500, 'a'), Buffer.alloc(20, 'b')]);
  const refused = (bytes: Buffer, message: RegExp) =>
    t.throws(() => decodeAll(FrameDecoder.whole(table), bytes, 7), { instanceOf: FrameError, message });
  for (let length = 0; length < object.length; length += 1) refused(object.subarray(0, length), /ends inside/);
  refused(Buffer.concat([object, Buffer.alloc(1)]), /continues after its end/);
  const changed = Buffer.from(object);
  changed.writeUInt8(1, object.length - 6);
  refused(changed, /a seek table that does not match its frames/);
  const frames = object.subarray(0, table.framesSize);
  t.throws(() => decodeAll(FrameDecoder.frames(table, 0, 1), object, 7), { message: /continues/ });
  t.notThrows(() => decodeAll(FrameDecoder.frames(table, 0, 1), frames, 7));
});

test('any byte that is changed is noticed, or changes nothing', (t) => {
  const { content, object, table } = encode([Buffer.from('words, words, words'), Buffer.from('and others')]);
  for (let at = 0; at < object.length; at += 1) {
    const changed = Buffer.from(object);
    changed[at] = (changed[at] as number) ^ 0x10;
    try {
      t.deepEqual(decodeAll(FrameDecoder.whole(table), changed, 1_000), content, `byte ${at}`);
    } catch (error) {
      t.true(error instanceof FrameError, `byte ${at}`);
    }
  }
});
