import { readFile } from 'node:fs/promises';
import test from 'ava';
import fc from 'fast-check';
import { realFileLayer } from '../../src/blobs/file-layer.ts';
import { writePrivateFile } from '../../src/blobs/private-file.ts';
import { digestOf } from '../../src/core/digest.ts';
import { tempFolder } from '../support/temp.ts';

test('however a body is cut into chunks, the file has its bytes and the digest is theirs', async (t) => {
  const dir = await tempFolder(t);
  const size = fc.oneof(
    fc.nat(300),
    fc.integer({ min: 100_000, max: 700_000 }),
    fc.constantFrom(524_287, 524_288, 524_289),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(size, { maxLength: 7 }), async (sizes) => {
      const chunks = sizes.map((length, n) => Buffer.alloc(length, n + 1));
      const whole = Buffer.concat(chunks);
      const seen: number[] = [];
      const rules = { checkSize: (bytes: number) => void seen.push(bytes) };
      const written = await writePrivateFile(realFileLayer, dir, stream(chunks), rules);
      t.is(written.size, whole.length);
      t.is(written.digest, digestOf(whole));
      t.true(whole.equals(await readFile(written.file)));
      let sum = 0;
      t.deepEqual(
        seen,
        chunks.map(({ length }) => (sum += length)),
        'told of every chunk, with the size so far',
      );
    }),
    { numRuns: 60 },
  );
});

async function* stream(chunks: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
