import { randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import test from 'ava';
import fc from 'fast-check';
import { compressFrame, decompressFrame, FRAME_CONTENT_MAX, FrameError } from '../../src/core/zstd-frame.ts';
import { required } from '../support/required.ts';
import { ZSTD, type Zstd } from '../support/zstd.ts';

const zstd = await required('Frames of another writer', ZSTD);
if (zstd !== null) takesFramesOf(zstd);

const CONTENT = Buffer.from('the same words again and again, '.repeat(200));

test('a frame gives its content back, whatever it is and at every level', (t) => {
  const content = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 5_000 }),
    fc.string({ minLength: 1, maxLength: 200, unit: 'grapheme' }).map((text) => Buffer.from(text.repeat(30))),
  );
  fc.assert(
    fc.property(content, fc.integer({ min: 1, max: 19 }), (bytes, level) => {
      t.deepEqual(decompressFrame(compressFrame(bytes, level), bytes.length), Buffer.from(bytes));
    }),
  );
});

test('a frame that fills what node:zlib gives it to the last byte is one frame, and content that fills it is read', (t) => {
  const CHUNK = 16 * 1024;
  let full = 0;
  for (const chunks of [1, 2, 8]) {
    // What does not compress gets some bytes longer: one of these frames has whole chunks.
    for (let size = chunks * CHUNK - 40; size <= chunks * CHUNK; size += 1) {
      const content = randomBytes(size);
      const frame = compressFrame(content, 1);
      t.true(decompressFrame(frame, size).equals(content), `${size} bytes`);
      if (frame.length % CHUNK === 0) full += 1;
    }
  }
  t.true(full >= 3, `${full} frames were whole chunks`);
});

test('the trap: node:zlib gives the first of several frames and no error; this decoder refuses them', (t) => {
  const two = Buffer.concat([compressFrame(CONTENT, 1), compressFrame(CONTENT, 1)]);
  // Should this ever fail, Node reads all frames: the decoder may then be simpler.
  t.is(zstdDecompressSync(two).length, CONTENT.length);
  t.throws(() => decompressFrame(two, CONTENT.length * 2), { instanceOf: FrameError });
  t.throws(() => decompressFrame(two, CONTENT.length), { instanceOf: FrameError, message: /after its end/ });
});

test('other sizes than declared, trailing bytes, missing ones and foreign bytes are refused', (t) => {
  const frame = compressFrame(CONTENT, 1);
  const size = CONTENT.length;
  const refused = (bytes: Uint8Array, declared: number) =>
    t.throws(() => decompressFrame(bytes, declared), { instanceOf: FrameError });
  refused(frame, size - 1);
  refused(frame, size + 1);
  refused(frame, FRAME_CONTENT_MAX);
  refused(Buffer.concat([frame, Buffer.alloc(1)]), size);
  for (let length = 0; length < frame.length; length += 1) refused(frame.subarray(0, length), size);
  refused(CONTENT, size);
  refused(Buffer.alloc(20), size);
});

test('any byte of a frame that is changed is noticed', (t) => {
  const frame = compressFrame(CONTENT, 3);
  for (let at = 0; at < frame.length; at += 1) {
    for (const bit of [1, 0x80]) {
      const changed = Buffer.from(frame);
      changed[at] = (changed[at] as number) ^ bit;
      try {
        t.deepEqual(decompressFrame(changed, CONTENT.length), CONTENT, `byte ${at}`);
      } catch (error) {
        t.true(error instanceof FrameError, `byte ${at}`);
      }
    }
  }
});

test('a frame that claims little and decompresses to much is stopped at its size', (t) => {
  const bomb = compressFrame(Buffer.alloc(FRAME_CONTENT_MAX), 19);
  t.true(bomb.length < 1_000);
  // The header says four million bytes; make it say a thousand. It has a field of four bytes behind the descriptor.
  const lying = Buffer.from(bomb);
  lying.writeUInt32LE(1_000, 5);
  t.throws(() => decompressFrame(lying, 1_000), { instanceOf: FrameError });
});

function takesFramesOf(zstd: Zstd): void {
  test('a frame of another writer without size or checksum is refused', (t) => {
    const run = (args: string[]) => zstd.run(args, CONTENT);
    t.throws(() => decompressFrame(run(['--no-check', '--stream-size=6400']), CONTENT.length), {
      message: /no checksum/,
    });
    t.throws(() => decompressFrame(run([]), CONTENT.length), { message: /does not declare how many bytes/ });
    t.deepEqual(decompressFrame(run([`--stream-size=${CONTENT.length}`]), CONTENT.length), CONTENT);
  });
}
