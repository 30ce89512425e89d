import { hash } from 'node:crypto';
import { text as consume } from 'node:stream/consumers';
import test from 'ava';
import fc from 'fast-check';
import { readManifest } from '../../cli/client/api/manifest-reader.ts';
import { canonicalJson, type JsonObject } from '../../src/core/canonical-json.ts';
import { manifestChunks } from '../../src/core/manifest.ts';
import { splitManifest } from '../../src/core/manifest-splitter.ts';

const ID = 'pkg_1';
const HEX = 'a'.repeat(64);

/** The same bytes in pieces of these sizes, one after the other. */
async function* pieces(bytes: Buffer, sizes: readonly number[]): AsyncGenerator<Buffer> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

function read(text: string, file_count = 1, sizes: readonly number[] = [text.length]) {
  return readManifest(pieces(Buffer.from(text), sizes), { id: ID, file_count });
}

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 });
const hostile = fc.constantFrom(
  'a},{"b',
  '"files":[',
  '\\',
  '\\"',
  ']}',
  '[{',
  '},{"path":"x"',
  'é\u{1f600}',
  '\u2028',
);
const file = fc.record({
  path: fc.oneof(name, hostile),
  size: fc.nat(),
  media_type: fc.constant('text/plain'),
  executable: fc.option(fc.constant(true), { nil: undefined }),
  mtime: fc.option(fc.constant('2026-01-01T00:00:00Z'), { nil: undefined }),
});
const json = fc.jsonValue({ maxDepth: 4 });

test('whatever the pieces it comes in, a manifest is read as JSON.parse reads it', async (t) => {
  const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 12 }), json, sizes, async (files, metadata, cut) => {
      const whole = {
        aaa: [[{ files: [1] }], 'newer'],
        files: files.map((entry) => ({ ...entry, sha256: HEX, newer: { deep: [entry.path] } })),
        package: { id: ID, metadata, files: [['not these']] },
        schema: 'artifact-store/manifest/v1',
      };
      const text = JSON.stringify(whole);
      const found = await read(text, files.length, cut);
      t.is(found.problem, null);
      t.is(found.digest, `sha256:${hash('sha256', text, 'hex')}`);
      t.deepEqual(
        found.files,
        files.map(({ path, size, mtime, executable }) => {
          const kept = { mtime: mtime ?? null, executable: executable ?? false };
          return { path: JSON.parse(JSON.stringify(path)), digest: `sha256:${HEX}`, size, ...kept };
        }),
      );
    }),
  );
});

test('a manifest as the service writes it, with blanks in it, and without files', async (t) => {
  const pkg = { id: ID, metadata: { files: ['x'] } as JsonObject } as Parameters<typeof manifestChunks>[0];
  async function* pages() {
    yield [{ path: 'a', sha256: HEX, size: 1, media_type: 'a/b' }];
    yield [{ path: 'b', sha256: HEX, size: 2, media_type: 'a/b', executable: true as const }];
  }
  const text = await consume(manifestChunks(pkg, pages()));
  t.like(await read(text, 2), { problem: null, files: [{ path: 'a' }, { path: 'b', executable: true }] });
  t.like(await read(JSON.stringify(JSON.parse(text), null, 2), 2, [7]), {
    problem: null,
    files: [{ path: 'a' }, { path: 'b' }],
  });
  const empty = canonicalJson({ files: [], package: { id: ID } });
  t.like(await read(empty, 0, [1]), { problem: null, files: [] });
});

test('bytes that are not a manifest of the package have a problem, and nevertheless their digest', async (t) => {
  const entry = { path: 'a', sha256: HEX, size: 1 };
  const of = (files: unknown, id: unknown = ID) => JSON.stringify({ files, package: { id } });
  for (const [text, problem] of [
    [of([{ ...entry, size: -1 }]), 'files.0.size: Too small: expected number to be >=0'],
    [of([{ ...entry, size: 'x' }]), 'files.0.size: expected number, received string'],
    [of([{ ...entry, size: 1.5 }]), 'files.0.size: expected int, received number'],
    [of([{ ...entry, size: 2 ** 60 }]), /^files\.0\.size: /],
    [of([{ ...entry, sha256: HEX.toUpperCase() }]), 'files.0.sha256: is not 64 hex digits'],
    [of([{ ...entry, path: 7 }]), 'files.0.path: expected string, received number'],
    [of([{ ...entry, mtime: 'yesterday' }]), /^files\.0\.mtime: /],
    [of([entry, entry]), 'it lists more files than the package has'],
    [of([]), 'it lists fewer files than the package has'],
    [of({}), 'it lists no files'],
    [of(undefined), 'it lists no files'],
    [of([entry], 'pkg_2'), 'it is of another package'],
    [of([entry], null), 'it is of another package'],
    [`${of([entry])}}`, 'it is not JSON'],
    [of([entry]).slice(0, -1), 'it is not JSON'],
    ['', 'it is not JSON'],
    ['null', 'it is not JSON'],
    ['<html>', 'it is not JSON'],
    [`{"files":[${'['.repeat(1_000_000)}`, 'it is not JSON'],
    [`{"files":["${'x'.repeat(1_000_000)}`, 'it is not JSON'],
    [`{"x":"${'x'.repeat(5_000_000)}`, 'it is not JSON'],
  ] as const) {
    const found = await read(text, 1, [65_536]);
    if (typeof problem === 'string') t.is(found.problem, problem, text.slice(0, 80));
    else t.regex(found.problem ?? '', problem);
    t.is(found.digest, `sha256:${hash('sha256', text, 'hex')}`);
  }
  const second = JSON.stringify({ files: [entry, { ...entry, size: null }], package: { id: ID } });
  // The field is the list's, not that of the piece it came in.
  t.is((await read(second, 2, [120])).problem, 'files.1.size: expected number, received null');
});

test('entries that have been taken are not kept', (t) => {
  const entry = JSON.stringify({ path: 'p'.repeat(100), sha256: HEX, size: 1 });
  let taken = 0;
  let most = 0;
  const splitter = splitManifest((list) => {
    taken += (JSON.parse(list) as unknown[]).length;
    most = Math.max(most, list.length);
  });
  splitter.push(Buffer.from('{"files":['));
  for (let index = 0; index < 10_000; index += 1) splitter.push(Buffer.from(`${entry},`));
  splitter.push(Buffer.from(`${entry}],"package":{}}`));
  t.deepEqual(splitter.end(), { files: [], package: {} });
  t.is(taken, 10_001);
  t.true(most < 2 * entry.length + 10);
});
