import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import fc from 'fast-check';
import { retryDelay } from '../../cli/client/api/retry.ts';
import { compareFiles } from '../../cli/client/compare.ts';
import { forEachLimit, Slots } from '../../cli/client/concurrency.ts';
import { Readers } from '../../cli/client/tree/readers.ts';
import { walk } from '../../cli/client/tree/walk.ts';
import { ApiError, EXIT, toCliError } from '../../cli/errors.ts';
import { formatBytes, formatCount, formatSeconds, printable, table } from '../../cli/format.ts';
import { describeProgress } from '../../cli/progress.ts';
import { bold, dim, renderText } from '../../cli/text.ts';
import { type Digest, digestFromHex } from '../../src/core/digest.ts';
import { ERROR_TABLE, type ErrorCode } from '../../src/core/errors.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { comparePaths } from '../../src/core/logical-path.ts';
import { checkParts } from '../../src/core/part-plan.ts';
import { processEnv } from '../support/process-env.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const BIN = join(import.meta.dirname, '../../cli/bin.ts');
const STOP_PROCESS = join(import.meta.dirname, '../support/readers-stop-process.ts');
const MIB = 1024 ** 2;
const LIMITS = { ...DEFAULT_LIMITS, single_part_max: 6 * MIB, part_size: 5 * MIB };
const LOOK = { symlinks: 'refuse', special: 'refuse', signal: new AbortController().signal } as const;

function sha256(bytes: Uint8Array): Digest {
  return digestFromHex(createHash('sha256').update(bytes).digest('hex'));
}

test('a walk comes in the order of manifests, whatever the names', async (t) => {
  const folder = await tempFolder(t);
  await writeTree(folder, {
    'a/b': '',
    'a.txt': '',
    'a-': '',
    a0: '',
    'Z/z': '',
    'é/x': '',
    'é.': '',
    '\u{1f600}': '',
    '\uffee': '',
  });
  const paths = Array.from(await walk(folder, LOOK), ({ path }) => path);
  t.is(paths.length, 9);
  t.deepEqual(paths, [...paths].sort(comparePaths));
});

test('hashes and part digests are those of the bytes, in threads and without', async (t) => {
  const folder = await tempFolder(t);
  const large = randomBytes(16 * MIB + 1);
  const edge = randomBytes(6 * MIB);
  await writeTree(folder, { large, edge, empty: '', small: 'S' });
  for (let index = 0; index < 120; index += 1) await writeTree(folder, { [`many/${index}`]: `content ${index}` });
  const readers = new Readers();
  t.teardown(() => readers.stop());
  const files = [...(await walk(folder, LOOK))];
  const hashed = new Map((await readers.hash(files, LIMITS)).map((file) => [file.path as string, file]));
  t.is(hashed.get('large')?.digest, sha256(large));
  t.is(hashed.get('edge')?.digest, sha256(edge));
  t.is(hashed.get('edge')?.parts, null);
  t.is(hashed.get('empty')?.digest, sha256(Buffer.alloc(0)));
  for (let index = 0; index < 120; index += 1) {
    t.is(hashed.get(`many/${index}`)?.digest, sha256(Buffer.from(`content ${index}`)));
  }
  const { digest, size, parts } = hashed.get('large') ?? {};
  const planned = checkParts({ digest: digest as Digest, size: size as number, parts: parts ?? [] }, LIMITS);
  for (const part of planned) t.is(part.digest, sha256(large.subarray(part.offset, part.offset + part.size)));
  t.is(
    readers.bytes,
    files.reduce((sum, file) => sum + file.size, 0),
  );
  const few = await readers.hash(
    files.filter(({ path }) => path === 'small'),
    LIMITS,
  );
  t.is(few[0]?.digest, sha256(Buffer.from('S')));
});

test('a file that was replaced since it was found has no hash', async (t) => {
  const folder = await tempFolder(t);
  await mkdir(join(folder, 'x'));
  for (const many of [1, 200]) {
    for (let index = 0; index < many; index += 1) await writeFile(join(folder, 'x', String(index)), 'same');
    const files = [...(await walk(folder, LOOK))];
    await appendFile(join(folder, 'x', '0'), 'more');
    const readers = new Readers();
    await t.throwsAsync(readers.hash(files, LIMITS), { code: 'file_changed', message: /"x\/0"/ });
    await readers.stop();
  }
});

test('readers that are stopped while an answer is on its way are waited for', async (t) => {
  const folder = await tempFolder(t);
  // In one list, so that the answer is the thread's last.
  await writeTree(folder, { large: randomBytes(9 * MIB) });
  const { stdout } = await promisify(execFile)(process.execPath, [STOP_PROCESS, folder], { env: processEnv() });
  t.is(stdout, 'stopped');
});

test('a command that ends before its work is done says so, and does not end well', async (t) => {
  const never = 'data:text/javascript,export const main = () => new Promise(() => {})';
  const hooks = `data:text/javascript,import { registerHooks } from 'node:module';
    registerHooks({ resolve: (name, context, next) =>
      name === './main.ts' ? { url: ${JSON.stringify(never)}, shortCircuit: true } : next(name, context) });`;
  const ended = promisify(execFile)(process.execPath, ['--import', hooks, BIN], { env: processEnv() });
  const error = await t.throwsAsync(ended, { code: 1 });
  t.regex((error as Error & { stderr: string }).stderr, /ended before its work was done/);
});

test('every code of the service has an exit that is documented', (t) => {
  const expected: Partial<Record<ErrorCode, number>> = {
    package_not_found: EXIT.notFound,
    file_not_found: EXIT.notFound,
    unauthenticated: EXIT.refused,
    forbidden: EXIT.refused,
    held: EXIT.refused,
    retention_active: EXIT.refused,
    package_deleted: EXIT.refused,
    not_later: EXIT.refused,
    duplicate_path: EXIT.refused,
    digest_mismatch: EXIT.integrity,
    integrity_failure: EXIT.integrity,
    unknown_retention_class: EXIT.usage,
    invalid_metadata: EXIT.usage,
    no_space: EXIT.failed,
    internal: EXIT.failed,
    // Another program, or another version of the service.
    route_not_found: EXIT.unreachable,
  };
  for (const [code, { status }] of Object.entries(ERROR_TABLE)) {
    const error = toCliError(new ApiError(code as ErrorCode, status, 'why'));
    t.true(error.exit >= 1 && error.exit <= 6, code);
    if (code in expected) t.is<number | undefined, number | undefined>(error.exit, expected[code as ErrorCode], code);
  }
  // What ends by itself, or by somebody else's hand, is worth another attempt.
  for (const code of ['unavailable', 'no_space', 'list_mismatch'] as const)
    t.regex(toCliError(new ApiError(code, ERROR_TABLE[code].status, 'why')).next ?? '', /^.*same command again/, code);
});

test('comparing: what is added, removed and changed puts one side into the other', (t) => {
  const side = fc.dictionary(fc.string({ minLength: 1, maxLength: 3 }), fc.constantFrom<string>('one', 'two'));
  fc.assert(
    fc.property(side, side, (before, after) => {
      const list = (files: Record<string, string>) =>
        Object.entries(files).map(([path, digest]) => ({ path, digest, size: 1 }));
      const { added, removed, changed } = compareFiles(list(before), list(after));
      const patched = new Map(Object.entries(before));
      for (const path of removed) patched.delete(path);
      for (const path of [...added, ...changed]) patched.set(path, after[path] as string);
      t.deepEqual([...patched].sort(), Object.entries(after).sort());
      t.true(changed.every((path) => before[path] !== after[path]));
    }),
  );
});

test('pauses grow, spread, and stay below ten seconds', (t) => {
  for (let attempt = 1; attempt < 20; attempt += 1) {
    t.true(retryDelay(attempt, 0) >= 100);
    t.true(retryDelay(attempt, 1) <= 10_000);
    t.true(retryDelay(attempt + 1, 0.5) >= retryDelay(attempt, 0.5));
  }
});

test('never more at once than allowed, and nothing new after a failure', async (t) => {
  let running = 0;
  let most = 0;
  const step = async (): Promise<void> => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
  };
  await forEachLimit(Array(50).keys(), 4, step);
  const slots = new Slots(3);
  await Promise.all(Array.from({ length: 50 }, () => slots.use(step)));
  t.is(most, 4);
  let begun = 0;
  const failing = forEachLimit(Array(50).keys(), 2, async (index) => {
    begun += 1;
    await step();
    if (index === 3) throw new Error('three');
  });
  await t.throwsAsync(failing, { message: 'three' });
  t.true(begun < 10);
  t.is(running, 0);
});

test('numbers and text for people', (t) => {
  t.deepEqual([0, 999, 1_000, 9_960, 1_234_567, 999_600, 5e12].map(formatBytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '10 kB',
    '1.2 MB',
    '1.0 MB',
    '5.0 TB',
  ]);
  const seconds = [0.25, 9.949, 9.95, 12.4, 59.49, 59.5, 75, 3_599.4, 3_599.5, 3_725, 7_199];
  t.deepEqual(
    seconds.map(formatSeconds).join(', '),
    '0.3 s, 9.9 s, 10 s, 12 s, 59 s, 1 min 0 s, 1 min 15 s, 59 min 59 s, 1 h 0 min, 1 h 2 min, 2 h 0 min',
  );
  t.is(printable('a\u001b[31mb\u202e'), 'a\\u001b[31mb\\u202e');
  t.is(
    printable('\n\u0085\u009b\u007f\u061c\u2028\u2029é\u200d'),
    '\\u000a\\u0085\\u009b\\u007f\\u061c\\u2028\\u2029é\u200d',
  );
  const painted = [bold('a\u001b[31m'), '\n', dim('b\u009b'), ' c\u0007'];
  t.is(renderText(painted, true), '\u001b[1ma\\u001b[31m\u001b[22m\n\u001b[2mb\\u009b\u001b[22m c\\u0007');
  t.is(renderText(painted, false), 'a\\u001b[31m\nb\\u009b c\\u0007');
  t.is(
    table(
      [
        ['A', '1', 'x'],
        ['BBB', '22', ''],
      ],
      [1],
    ),
    'A     1  x\nBBB  22',
  );
  const report = { phase: 'sending', files: 1, totalFiles: 4, bytes: 500, totalBytes: 1_000 };
  t.regex(
    describeProgress(report, 10),
    /^sending █{12}░{12} {2}1\/4 files {2}500 B of 1\.0 kB {2}50 B\/s {2}10 s left$/,
  );
  t.regex(
    describeProgress({ ...report, there: 400 }, 10),
    / 500 B of 1\.0 kB {2}10 B\/s {2}50 s left$/,
    'what was there need not move, and says nothing of how fast it does',
  );
  t.regex(describeProgress({ ...report, there: 600 }, 10), / 500 B of 1\.0 kB$/);
  t.is(
    describeProgress({ ...report, phase: 'committing', bytes: 1_000, there: 400 }, 10),
    `committing ${'█'.repeat(24)}  1/4 files  1.0 kB  10 s`,
  );
});

test('counts are grouped as English has it', (t) => {
  for (const count of [0, 7, 999, 1_000, 12_345, 123_456, 1_234_567, Number.MAX_SAFE_INTEGER]) {
    t.is(formatCount(count), count.toLocaleString('en'));
  }
});
