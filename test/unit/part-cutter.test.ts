import test from 'ava';
import fc from 'fast-check';
import { digestOf } from '../../src/core/digest.ts';
import { partCutter } from '../../src/core/part-cutter.ts';

test('however the bytes come, the parts are those of the bytes', (t) => {
  const chunks = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 });
  fc.assert(
    fc.property(chunks, fc.integer({ min: 1, max: 40 }), (pieces, partSize) => {
      const cutter = partCutter(partSize);
      // The buffer is used again, as the spool does it.
      const buffer = new Uint8Array(50);
      for (const piece of pieces) {
        buffer.set(piece);
        cutter.update(buffer.subarray(0, piece.length));
      }
      const bytes = Buffer.concat(pieces);
      const count = Math.ceil(bytes.length / partSize);
      const expected = Array.from({ length: count }, (_, index) => {
        const part = bytes.subarray(index * partSize, (index + 1) * partSize);
        return { number: index + 1, digest: digestOf(part), offset: index * partSize, size: part.length };
      });
      t.deepEqual(cutter.end(), expected);
    }),
  );
});
