import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import {
  CHECKED_MAX,
  findLine,
  HITS_MAX,
  type LinePlace,
  PAGE_BYTES,
  PAGE_LINES,
  readPage,
  SCAN_BYTES,
  searchLines,
} from '../../src/usecases/view-text.ts';

function contentOf(bytes: Buffer) {
  return {
    size: bytes.length,
    openWhole: async () => bytes,
    openRange: async ({ offset, size }: { offset: number; size: number }) =>
      Readable.from([
        bytes.subarray(offset, offset + Math.ceil(size / 2)),
        bytes.subarray(offset + Math.ceil(size / 2), offset + size),
      ]),
  };
}
const text = (line: { bytes: Uint8Array }) => Buffer.from(line.bytes).toString();
const START: LinePlace = { at: 0, line: 1 };

async function allPages(bytes: Buffer): Promise<string[]> {
  const shown: string[] = [];
  for (let next: LinePlace | null = START; next !== null; ) {
    const page = await readPage(contentOf(bytes), next);
    for (const line of page.lines) shown[line.number - 1] = (shown[line.number - 1] ?? '') + text(line);
    next = page.next;
  }
  return shown;
}

test('page by page every line is shown once, with its number', async (t) => {
  const line = fc
    .tuple(fc.constantFrom('x', 'line', 'é'), fc.integer({ min: 0, max: 3_000 }))
    .map(([of, times]) => of.repeat(times));
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 300 }), fc.boolean(), async (lines, ended) => {
      const bytes = Buffer.from(lines.join('\n') + (ended ? '\n' : ''));
      const expected = bytes.length === 0 ? [] : bytes.toString().replace(/\n$/, '').split('\n');
      return JSON.stringify(await allPages(bytes)) === JSON.stringify(expected);
    }),
    { numRuns: 30 },
  );
  const many = Array.from({ length: 3 * PAGE_LINES }, (_, n) => `line ${n + 1}`);
  t.deepEqual(await allPages(Buffer.from(many.join('\n'))), many);
});

test('a file of one line that does not end is shown in parts, each bounded', async (t) => {
  const bytes = Buffer.alloc(CHECKED_MAX + 10, 'a');
  const pages = [];
  for (let next: LinePlace | null = START; next !== null; ) {
    const page = await readPage(contentOf(bytes), next);
    pages.push(page.lines.map(({ number, at }) => [number, at]));
    next = page.next;
  }
  t.deepEqual(
    pages,
    [0, 1, 2, 3, 4].map((n) => [[1, n * PAGE_BYTES]]),
  );
});

test('a search finds lines with their places, whatever the case, and goes on where it ended', async (t) => {
  const lines = Array.from({ length: 5_000 }, (_, n) => (n % 10 === 0 ? `An Error ${n}` : `fine ${n}`));
  const content = contentOf(Buffer.from(lines.join('\n')));
  const found: number[] = [];
  let rounds = 0;
  for (let from: LinePlace | null = START; from !== null; rounds += 1) {
    const { hits, next } = await searchLines(content, 'ERROR', from, text);
    for (const hit of hits) found.push(hit.number);
    for (const hit of hits)
      t.true(text((await readPage(content, { at: hit.at, line: hit.number })).lines[0] as never) === text(hit));
    from = next;
  }
  t.deepEqual(
    found,
    Array.from({ length: 500 }, (_, n) => n * 10 + 1),
  );
  t.is(rounds, Math.ceil(500 / HITS_MAX));
});

test('the way to a line, and that it ends', async (t) => {
  const content = contentOf(Buffer.from('a\nbb\nccc\n'));
  t.deepEqual(await findLine(content, 1), START);
  t.deepEqual(await findLine(content, 3), { at: 5, line: 3 });
  t.deepEqual(await findLine(content, 99), { at: 5, line: 3 }, 'the last one');
  const long = contentOf(Buffer.alloc(SCAN_BYTES + 100, `${'a'.repeat(999)}\n`));
  t.is(await findLine(long, SCAN_BYTES), null);
  t.is((await findLine(long, 1_000))?.at, 999_000);
  const short = contentOf(Buffer.alloc(3_000_000, '\n'));
  t.is(await findLine(short, 2_000_000), null, 'so many lines are not looked at');
});
