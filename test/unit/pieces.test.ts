import { randomBytes } from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import { cutPieces, type Piece, spansOf } from '../../cli/client/pull/pieces.ts';

const source = { url: 'http://store/object', headers: {}, frames: null, size: 10_000_000 };

function pieceAt(offset: number, size: number): Piece {
  return { digest: `${offset}+${size}`, size, files: [], place: { source, offset } };
}

async function* inChunks(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] as number;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test('whatever the chunks, each piece is cut out once and whole, also where pieces overlap', async (t) => {
  const bytes = randomBytes(3_000);
  const anyPiece = fc
    .tuple(fc.integer({ min: 0, max: 2_900 }), fc.integer({ min: 1, max: 600 }))
    .map(([offset, size]) => pieceAt(offset, Math.min(size, bytes.length - offset)));
  const pieces = fc.uniqueArray(anyPiece, { minLength: 1, maxLength: 30, selector: ({ digest }) => digest });
  const sizes = fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(pieces, sizes, async (wanted, chunkSizes) => {
      const got = new Map<Piece, string>();
      for (const span of spansOf(wanted)) {
        const answer = bytes.subarray(span.offset, span.offset + span.size);
        for await (const { piece, bytes: cut } of cutPieces(inChunks(answer, chunkSizes), span)) {
          if (got.has(piece)) throw new Error('twice');
          got.set(piece, cut.toString('hex'));
        }
      }
      if (got.size !== wanted.length) throw new Error('not all');
      for (const [{ place, size }, hex] of got) {
        if (hex !== bytes.toString('hex', place.offset, place.offset + size)) throw new Error('other bytes');
      }
    }),
  );
  t.pass();
});

test('spans join what is near, leave gaps that are wide, and hold every piece once', (t) => {
  const near = [pieceAt(0, 100), pieceAt(100_000, 100), pieceAt(50, 10)];
  const far = [pieceAt(2_000_000, 5), pieceAt(2_000_700, 5)];
  const other = { ...pieceAt(100, 10), place: { source: { ...source }, offset: 100 } };
  const spans = spansOf([...far, other, ...near]);
  t.deepEqual(
    spans.map(({ offset, size, pieces }) => ({ offset, size, pieces: pieces.length })),
    [
      { offset: 0, size: 100_100, pieces: 3 },
      { offset: 2_000_000, size: 705, pieces: 2 },
      { offset: 100, size: 10, pieces: 1 },
    ],
  );
  const bound = { ...source, headers: { Range: 'bytes=7-9999999' } };
  const pieces = [0, 5_000_000].map((offset) => ({ ...pieceAt(offset, 9), place: { source: bound, offset } }));
  t.is(spansOf(pieces).length, 1, 'a bound range is asked for once, as it is');
});
