import { readdir, readFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { openCheckThread } from '../../src/blobs/check-thread.ts';
import { realFileLayer } from '../../src/blobs/file-layer.ts';
import { writePrivateFile } from '../../src/blobs/private-file.ts';
import { type CheckBytes, checkStream } from '../../src/blobs/stream-check.ts';
import { digestOf } from '../../src/core/digest.ts';
import { errno, recordingFileLayer } from '../support/recording-file-layer.ts';
import { tempFolder } from '../support/temp.ts';

for (const where of ['between other work', 'beside the event loop']) {
  test(`however a body is cut into chunks, the file has its bytes and the digest is theirs, hashed ${where}`, async (t) => {
    const checker = openCheckThread();
    t.teardown(() => checker.close());
    await writesBodies(t, where === 'between other work' ? checkStream : checker.check);
  });
}

async function writesBodies(t: ExecutionContext, hash: CheckBytes): Promise<void> {
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
      const written = await writePrivateFile(realFileLayer, dir, stream(chunks), rules, hash);
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
}

test('what cannot be written, or breaks off, is an error in either way, and leaves nothing', async (t) => {
  const dir = await tempFolder(t);
  const checker = openCheckThread();
  t.teardown(() => checker.close());
  const chunk = Buffer.alloc(300_000, 1);
  for (const hash of [checkStream, checker.check]) {
    let writes = 0;
    const { files } = recordingFileLayer(({ name }) => {
      if (name !== 'write') return;
      writes += 1;
      if (writes === 3) throw errno('ENOSPC');
    });
    async function* endless() {
      for (;;) yield chunk;
    }
    await t.throwsAsync(writePrivateFile(files, dir, endless(), {}, hash), { code: 'ENOSPC' });
    async function* broken() {
      for (let n = 0; n < 9; n += 1) yield chunk;
      throw new Error('went away');
    }
    await t.throwsAsync(writePrivateFile(realFileLayer, dir, broken(), {}, hash), { message: /went away/ });
    const tooLong = { checkSize: (size: number) => void t.true(size <= 900_000 || fail('too long')) };
    await t.throwsAsync(writePrivateFile(realFileLayer, dir, broken(), tooLong, hash), { message: 'too long' });
    t.deepEqual(await readdir(dir), []);
  }
});

function fail(why: string): never {
  throw new Error(why);
}

async function* stream(chunks: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}
