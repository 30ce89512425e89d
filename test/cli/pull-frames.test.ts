import { randomBytes } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import test from 'ava';
import type { CliError } from '../../cli/errors.ts';
import { failedPaths, placeFakePackage } from '../support/fake-pull.ts';
import type { FakeObject } from '../support/fake-store.ts';
import { bombOf, encodedAs, type FramedObject, framedBlob, framedPack, type TestFrame } from '../support/frames.ts';
import { readTree } from '../support/tree.ts';

const KIB = 1024;
const MIB = 1024 ** 2;
const COUNT = 40;

interface NamedFile {
  path: string;
  bytes: Buffer;
}

function halfRandom(size: number): Buffer {
  return Buffer.from(
    randomBytes(Math.ceil(size / 2))
      .toString('hex')
      .slice(0, size),
  );
}

const smallFiles = (): NamedFile[] =>
  Array.from({ length: COUNT }, (_, nth) => ({ path: `small/${nth}`, bytes: halfRandom(7 * KIB + nth) }));

/** Eight files in each of five frames. */
function packed(files: readonly NamedFile[]): { pack: FramedObject; object: FakeObject } {
  const pack = framedPack(
    files.map(({ bytes }) => bytes),
    [8, 8, 8, 8, 8],
  );
  const entries = files.map(({ path }, nth) => ({ path, offset: pack.members[nth]?.offset as number }));
  return { pack, object: { bytes: pack.bytes, frames: pack.plan.frames, entries } };
}

function large(file: NamedFile): FakeObject {
  const { bytes, plan } = framedBlob(file.bytes);
  return { bytes, frames: plan.frames, entries: [{ path: file.path, offset: 0 }] };
}

/** The object with these frames, and a table that is right for them. */
function withFrames(object: FakeObject, frames: readonly TestFrame[]): FakeObject {
  const { bytes, plan } = encodedAs({ digest: '', size: 0 }, frames);
  return { ...object, bytes, frames: plan.frames };
}

test('an encoded pack is read by one request, a large encoded file by its ranges, and all is as it was', async (t) => {
  const files = [...smallFiles(), { path: 'large.log', bytes: halfRandom(17 * MIB + 5) }];
  const objects = [packed(files.slice(0, COUNT)).object, large(files[COUNT] as NamedFile)];
  const { pull, verify, arrived, store } = await placeFakePackage(t, files, { objects });
  t.is((await pull()).files, COUNT + 1);
  await arrived();
  t.is(store.seen.filter(({ url }) => url.startsWith('/bytes/0?')).length, 1);
  t.is(store.seen.filter(({ url }) => url.startsWith('/bytes/1?')).length, 3);
  t.deepEqual((await verify()).failures, []);
});

test('one small file is one ranged read of the frame that holds it', async (t) => {
  const files = smallFiles();
  const { pack, object } = packed(files);
  const { pull, store, copy, expected } = await placeFakePackage(t, files, { objects: [object] });
  t.is((await pull('small/20')).files, 1);
  t.deepEqual(await readTree(copy), { 'small/20': expected['small/20'] });
  const before = pack.frames.slice(0, 2).reduce((sum, { bytes }) => sum + bytes.length, 0);
  const end = before + (pack.frames[2]?.bytes.length ?? 0) - 1;
  t.deepEqual(
    store.seen.map(({ range }) => range),
    [`bytes=${before}-${end}`],
  );
});

test('a connection that dies in the middle of a frame is continued where it broke', async (t) => {
  const files = smallFiles();
  const { object } = packed(files);
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects: [object] });
  const half = object.bytes.length >> 1;
  store.serve = (_request, response) => {
    if (store.seen.length > 1) return false;
    response.writeHead(200, { 'content-length': object.bytes.length });
    response.write(object.bytes.subarray(0, half), () => response.socket?.destroySoon());
    return true;
  };
  await pull();
  await arrived();
  t.is(store.seen.length, 2);
  t.regex(store.seen[1]?.range ?? '', new RegExp(`^bytes=${half}-`));
});

test('a server that ignores ranges sends everything, and the right frames are used', async (t) => {
  const files = [...smallFiles(), { path: 'large.log', bytes: halfRandom(17 * MIB) }];
  const objects = [packed(files.slice(0, COUNT)).object, large(files[COUNT] as NamedFile)];
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects });
  store.serve = (_request, response, { bytes }) => {
    response.end(bytes);
    return true;
  };
  await pull();
  await arrived();
});

test('an expired URL in the middle of frames: fresh ones are requested, in whatever form the bytes are by then', async (t) => {
  const files = smallFiles();
  const { pack, object } = packed(files);
  const { pull, store, arrived } = await placeFakePackage(t, files, { objects: [object] });
  let served = 0;
  store.serve = (request, response) => {
    if (!request.url.endsWith('plan=1')) return false;
    served += 1;
    if (served > 1) {
      response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return true;
    }
    // Meanwhile somebody has stored it as it is.
    store.objects = [{ bytes: pack.content, entries: object.entries }];
    response.writeHead(200, { 'content-length': object.bytes.length });
    response.write(object.bytes.subarray(0, object.bytes.length >> 1), () => response.socket?.destroySoon());
    return true;
  };
  await pull();
  await arrived();
  t.true(store.plans > 1);
});

type Lie = (files: NamedFile[], given: ReturnType<typeof packed>) => FakeObject;

const tables: Array<[what: string, lie: Lie, message: RegExp]> = [
  [
    'that ends in the middle of an entry',
    (_, { object }) => ({ ...object, frames: Buffer.alloc(9).toString('base64') }),
    /in the middle of an entry/,
  ],
  ['of no frames', (_, { object }) => ({ ...object, frames: '' }), /no frames/],
  [
    'of other stored bytes',
    (_, { object }) => ({ ...object, size: object.bytes.length + 1 }),
    /with these frames it has/,
  ],
  [
    'with a frame of more content than is taken',
    (_, { object, pack }) => withFrames(object, pack.frames.with(1, { bytes: Buffer.alloc(9), logical: 5 * MIB })),
    /at most/,
  ],
  [
    'with a frame of more stored bytes than its content can need',
    (_, { object, pack }) => withFrames(object, pack.frames.with(1, { bytes: Buffer.alloc(MIB), logical: 64 * KIB })),
    /stored bytes/,
  ],
  [
    'whose content ends before a file',
    (_, { object, pack }) => withFrames(object, pack.frames.slice(0, 2)),
    /outside its object/,
  ],
];
for (const [what, lie, message] of tables) {
  test(`a service that returns a frame table ${what} is caught before anything is read`, async (t) => {
    const files = smallFiles();
    const { pull, store, copy } = await placeFakePackage(t, files, { objects: [lie(files, packed(files))] });
    const error = await t.throwsAsync<CliError>(pull(), { code: 'integrity_failure' });
    t.is(error?.exit, 5);
    t.regex(error?.message ?? '', message);
    t.is(store.seen.length, 0);
    t.deepEqual(await readdir(copy).catch(() => []), []);
  });
}

const frames: Array<[what: string, frame: (right: TestFrame) => TestFrame]> = [
  [
    'with a byte that changed',
    ({ bytes, logical }) => ({ bytes: bytes.map((byte, at) => (at === 99 ? byte ^ 1 : byte)) as Buffer, logical }),
  ],
  ['with bytes behind it', ({ bytes, logical }) => ({ bytes: Buffer.concat([bytes, Buffer.alloc(10)]), logical })],
  ['that is none', ({ logical }) => ({ bytes: randomBytes(1_000), logical })],
  ['that holds a gigabyte', ({ logical }) => ({ bytes: bombOf(logical, 1024 * MIB), logical })],
  ['with other content', ({ logical }) => framedBlob(halfRandom(logical)).frames[0] as TestFrame],
];
for (const [what, change] of frames) {
  test.serial(`a frame ${what}: the files in it are named, and all others are written`, async (t) => {
    const files = smallFiles();
    const { pack, object } = packed(files);
    const lying = withFrames(object, pack.frames.with(2, change(pack.frames[2] as TestFrame)));
    const { pull, copy, expected } = await placeFakePackage(t, files, { objects: [lying] });
    const before = process.resourceUsage().maxRSS;
    const error = await t.throwsAsync<CliError>(pull(), { code: 'integrity_failure' });
    const grown = (process.resourceUsage().maxRSS - before) / KIB;
    t.true(grown < 150, `${grown} MiB more than before`);
    const failed = failedPaths(error);
    t.deepEqual(
      failed.toSorted(),
      Array.from({ length: 8 }, (_, nth) => `small/${16 + nth}`),
    );
    const right = Object.entries(expected).filter(([path]) => !failed.includes(path));
    t.deepEqual(await readTree(copy), Object.fromEntries(right));
  });
}
