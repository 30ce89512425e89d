import { randomBytes } from 'node:crypto';
import { constants } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import type { Digest } from '../../../src/core/digest.ts';
import { type Api, sha256 } from '../../support/api.ts';
import { type Files, packageOf, planEncoded, sendEncoded } from '../../support/encoded-upload.ts';
import {
  bombOf,
  compressed,
  type EncodedObject,
  encodedAs,
  type FramedObject,
  framedBlob,
  framedPack,
  frameOf,
  framesOf,
  seekTableOf,
  skippable,
  type TestFrame,
} from '../../support/frames.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const KIB = 1024;
const MIB = 1024 ** 2;

let made = 0;
/** Text that compresses, and that no other test has. */
function text(size: number): string {
  made += 1;
  return `${process.pid} ${made} one thing is wrong, and all others are right; `.repeat(1 + size / 30).slice(0, size);
}

function padded({ bytes, logical }: TestFrame): TestFrame {
  return { bytes: Buffer.concat([bytes, Buffer.alloc(100)]), logical };
}

function bombLike({ logical }: TestFrame): TestFrame {
  return { bytes: bombOf(logical, 1024 * MIB), logical };
}

/** An object whose bytes are not the frames that were planned is refused when it is committed. */
export function frameCommitsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  /** Everything but the thing that is wrong. */
  interface Wrong {
    files: Files;
    object: EncodedObject;
    /** What is right; it is taken afterwards. */
    right: EncodedObject;
    /** Of a pack's member, when the answer names one. */
    member?: string;
  }

  /** A loose blob of two frames, of which one or both are made anew. */
  function blobWith(change: (frames: [TestFrame, TestFrame], content: Buffer) => EncodedObject | TestFrame[]): Wrong {
    const content = Buffer.from(text(6_000));
    const right = framedBlob(content, 3_000);
    const changed = change(framesOf(content, [3_000, 3_000]) as [TestFrame, TestFrame], content);
    const object = Array.isArray(changed)
      ? encodedAs({ digest: sha256(content), size: content.length }, changed)
      : changed;
    return { files: { log: content }, object, right };
  }

  /** A pack of three members in three frames. */
  function packWith(change: (pack: FramedObject) => EncodedObject & { member?: string }): Wrong {
    const files = { x: text(900), y: text(900), z: text(1_800) };
    const right = framedPack(Object.values(files), [1, 1, 1]);
    const { member, ...object } = change(right);
    return { files, object, right, ...(member === undefined ? {} : { member }) };
  }

  /** A frame's header with other flags, and the bytes that come with them behind the descriptor. */
  function header(frame: TestFrame, change: (descriptor: number) => number, more: readonly number[] = []): TestFrame {
    const { bytes, logical } = frame;
    const descriptor = bytes[4] as number;
    const changed = [bytes.subarray(0, 4), Buffer.from([change(descriptor), ...more]), bytes.subarray(5)];
    return { bytes: Buffer.concat(changed), logical };
  }

  const SINGLE_SEGMENT = 0x20;

  const commits: Array<[what: string, make: () => Wrong, code: string, detail: RegExp]> = [
    [
      'with other content than its digest',
      () => blobWith((_, content) => framesOf(Buffer.from(text(content.length)), [3_000, 3_000])),
      'digest_mismatch',
      /have the digest/,
    ],
    [
      'whose pack has another digest',
      () =>
        packWith((pack) => {
          const digest = sha256(`no pack has this ${made}`);
          return { ...pack, plan: { ...pack.plan, digest } };
        }),
      'digest_mismatch',
      /have the digest/,
    ],
    [
      'whose pack has a member with other bytes',
      () =>
        packWith(({ content, frames, plan, members }) => {
          const changed = Buffer.from(content);
          const { offset, digest } = members[1] as (typeof members)[number];
          changed.write('?', offset + 5);
          const sizes = frames.map(({ logical }) => logical);
          const object = { ...plan, digest: sha256(changed), members };
          return { ...encodedAs(object, framesOf(changed, sizes)), member: digest };
        }),
      'digest_mismatch',
      /member/,
    ],
    [
      'whose pack has bytes between its members',
      () =>
        packWith(({ content, frames, plan, members }) => {
          const changed = Buffer.from(content);
          const { offset, size, digest } = members[0] as (typeof members)[number];
          changed.write('?', offset + size);
          const sizes = frames.map(({ logical }) => logical);
          return {
            ...encodedAs({ ...plan, digest: sha256(changed), members }, framesOf(changed, sizes)),
            member: digest,
          };
        }),
      'invalid_pack',
      /bytes other than zeros/,
    ],
    [
      'whose frames stand in another order, with their table',
      () =>
        packWith(({ frames: [a, b, c], plan, members }) => ({
          ...encodedAs({ ...plan, members }, [b, a, c] as TestFrame[]),
          member: members[0]?.digest as string,
        })),
      'invalid_pack',
      /another header/,
    ],
    [
      'whose frames stand in another order than its table says',
      () =>
        blobWith(([a, b], content) => {
          const [table, size] = [[a, b], content.length];
          const swapped = encodedAs({ digest: sha256(content), size }, [b, a], seekTableOf(table));
          const { plan } = encodedAs({ digest: sha256(content), size }, table);
          return { bytes: swapped.bytes, plan: { ...plan, stored_digest: sha256(swapped.bytes) } };
        }),
      // Of one size, they are other content; of two, they are no frames.
      'in any way',
      /./,
    ],
    [
      'with a frame that holds less than its table says',
      () =>
        blobWith(([a, b], content) => [a, { bytes: compressed(content.subarray(3_000, 5_999)), logical: b.logical }]),
      'invalid_frames',
      /frame at 3000 that declares 2999 bytes, not 3000/,
    ],
    [
      'with a frame that holds more than its table says',
      () =>
        blobWith(([a], content) => [
          { ...a, bytes: compressed(content.subarray(0, 3_001)) },
          frameOf(content.subarray(3_000)),
        ]),
      'invalid_frames',
      /frame at 0 that declares 3001 bytes, not 3000/,
    ],
    [
      'with a frame that holds more than it says itself',
      () => blobWith(([a, b]) => [{ bytes: bombOf(a.logical, 3_001), logical: a.logical }, b]),
      'invalid_frames',
      /frame at 0 that cannot be decompressed/,
    ],
    [
      'with a frame that holds less than it says itself',
      () => blobWith(([a, b]) => [{ bytes: bombOf(a.logical, 2_999), logical: a.logical }, b]),
      'invalid_frames',
      /frame at 0 that /,
    ],
    [
      'with bytes behind a frame',
      () => blobWith(([a, b]) => [{ ...a, bytes: Buffer.concat([a.bytes, Buffer.from('more')]) }, b]),
      'invalid_frames',
      /frame at 0 that has 4 bytes after its end/,
    ],
    [
      'with bytes behind the last frame',
      () => blobWith(([a, b]) => [a, { ...b, bytes: Buffer.concat([b.bytes, Buffer.alloc(1)]) }]),
      'invalid_frames',
      /frame at 3000 that has 1 bytes? after its end/,
    ],
    [
      'with two frames where one is declared',
      () =>
        blobWith(([a, b], content) => [
          {
            bytes: Buffer.concat([compressed(content.subarray(0, 1_500)), compressed(content.subarray(1_500, 3_000))]),
            logical: a.logical,
          },
          b,
        ]),
      'invalid_frames',
      /frame at 0 that /,
    ],
    [
      'with a second, empty frame where one is declared',
      () => blobWith(([a, b]) => [{ ...a, bytes: Buffer.concat([a.bytes, compressed(Buffer.alloc(0))]) }, b]),
      'invalid_frames',
      /frame at 0 that has \d+ bytes after its end/,
    ],
    [
      'with a skippable frame among its frames',
      () => blobWith(([a, b]) => [{ ...a, bytes: Buffer.concat([a.bytes, skippable(5)]) }, b]),
      'invalid_frames',
      /frame at 0 that has 13 bytes after its end/,
    ],
    [
      'with a skippable frame before its first',
      () => blobWith(([a, b]) => [{ ...a, bytes: Buffer.concat([skippable(5), a.bytes]) }, b]),
      'invalid_frames',
      /frame at 0 that does not begin as a zstd frame/,
    ],
    [
      'with a skippable frame in the place of one',
      () => blobWith(([a, b]) => [a, { ...b, bytes: skippable(40) }]),
      'invalid_frames',
      /frame at 3000 that does not begin as a zstd frame/,
    ],
    [
      'with a frame that is no zstd',
      () => blobWith(([a, b], content) => [a, { ...b, bytes: content.subarray(3_000, 4_000) }]),
      'invalid_frames',
      /frame at 3000 that does not begin as a zstd frame/,
    ],
    [
      'with a frame that is cut off',
      () => blobWith(([a, b]) => [a, { ...b, bytes: b.bytes.subarray(0, -5) }]),
      'invalid_frames',
      /frame at 3000 that /,
    ],
    [
      'with a frame without a checksum',
      () =>
        blobWith(([a, b], content) => [
          a,
          { ...b, bytes: compressed(content.subarray(3_000), { [constants.ZSTD_c_checksumFlag]: 0 }) },
        ]),
      'invalid_frames',
      /frame at 3000 that has no checksum/,
    ],
    [
      'with a frame whose checksum is wrong',
      () =>
        blobWith(([a, b]) => {
          const bytes = Buffer.from(a.bytes);
          bytes.writeUInt8((bytes.at(-1) as number) ^ 1, bytes.length - 1);
          return [{ ...a, bytes }, b];
        }),
      'invalid_frames',
      /frame at 0 that cannot be decompressed/,
    ],
    [
      'with a frame that does not say its size',
      () =>
        blobWith(([a, b], content) => [
          { ...a, bytes: compressed(content.subarray(0, 3_000), { [constants.ZSTD_c_contentSizeFlag]: 0 }) },
          b,
        ]),
      'invalid_frames',
      /frame at 0 that does not declare how many bytes it holds/,
    ],
    [
      'with a frame that names a dictionary',
      () => blobWith(([a, b]) => [header(a, (descriptor) => descriptor | 1, [7]), b]),
      'invalid_frames',
      /frame at 0 that needs a dictionary/,
    ],
    [
      'with a frame whose reserved bit is set',
      () => blobWith(([a, b]) => [header(a, (descriptor) => descriptor | 8), b]),
      'invalid_frames',
      /frame at 0 that has a reserved bit set/,
    ],
    ...[23, 27, 31, 41].map((log): [string, () => Wrong, string, RegExp] => [
      `with a frame that wants a window of 2^${log} bytes`,
      () => blobWith(([a, b]) => [header(a, (descriptor) => descriptor & ~SINGLE_SEGMENT, [(log - 10) << 3]), b]),
      'invalid_frames',
      /frame at 0 that .*(window|memory)/,
    ]),
    ...(
      [
        ['with one byte more', (seek) => seek.writeUInt8(1, seek.length - 5)],
        ['of other sizes', (seek) => seek.writeUInt32LE(seek.readUInt32LE(12) + 1, 12)],
        ['of another number of frames', (seek) => seek.writeUInt32LE(1, seek.length - 9)],
        ['with checksums that are not there', (seek) => seek.writeUInt8(0x80, seek.length - 5)],
        ['of another magic', (seek) => seek.writeUInt8(0, seek.length - 1)],
        ['that is no skippable frame', (seek) => seek.writeUInt8(0, 0)],
        ['of all zeros', (seek) => seek.fill(0)],
      ] as Array<[string, (seek: Buffer) => void]>
    ).map(([what, change]): [string, () => Wrong, string, RegExp] => [
      `with a seek table ${what}`,
      () =>
        blobWith((frames, content) => {
          const seek = seekTableOf(frames);
          change(seek);
          return encodedAs({ digest: sha256(content), size: content.length }, frames, seek);
        }),
      'invalid_frames',
      /a seek table that does not match its frames/,
    ]),
  ];
  for (const [what, make, code, detail] of commits) {
    test(`the commit of an encoded object ${what} is refused, and nothing is stored`, async (t) => {
      const { files, object, right, member } = make();
      const said = await assertRefused(t, t.context, { files, object, right });
      if (code !== 'in any way') t.is(said.code, code, JSON.stringify(said));
      t.regex(said.detail, detail);
      t.is(said.digest, member ?? object.plan.digest);
      if (member !== undefined) t.is(said.pack, object.plan.digest);
    });
  }

  /** Nothing of it is stored, and what is right is taken. @returns the problem */
  async function assertRefused(
    t: ExecutionContext,
    { api, service }: { api: Api; service: TestService },
    { files, object, right }: Wrong,
  ) {
    const id = await packageOf(api, files);
    const { answer, uploadId } = await sendEncoded(api, id, object);
    t.is(answer.status, 422, JSON.stringify(answer.body));
    const { body: upload } = await api.get(`/v1/uploads/${uploadId}`);
    t.like(upload, { state: 'failed', failure: { code: answer.body.code, detail: answer.body.detail } });
    t.deepEqual((await api.post(`/v1/uploads/${uploadId}/commit`)).body.code, answer.body.code, 'for good');
    const { body } = await api.get(`/v1/packages/${id}/files`);
    t.true(body.items.every(({ state }: { state: string }) => state === 'missing'));
    t.is((await api.post(`/v1/packages/${id}/finalize`)).body.code, 'files_missing');
    const { blobs } = service.services.registry.read;
    for (const content of Object.values(files)) t.falsy(await blobs.locate(sha256(content) as Digest));
    t.is((await sendEncoded(api, id, right)).answer.body.state, 'stored', 'the right one is taken');
    return answer.body;
  }

  // From 8 MiB of content on another thread reads it.
  for (const [what, change, code] of [
    [
      'with bytes behind its last frame',
      (frames) => frames.with(-1, padded(frames.at(-1) as TestFrame)),
      'invalid_frames',
    ],
    [
      'with two frames exchanged',
      ([a, b, ...others]) => [b as TestFrame, a as TestFrame, ...others],
      'digest_mismatch',
    ],
    ['with a bomb at its end', (frames) => frames.with(-1, bombLike(frames.at(-1) as TestFrame)), 'invalid_frames'],
  ] as Array<[string, (frames: TestFrame[]) => TestFrame[], string]>) {
    test(`the commit of a large encoded object ${what} is refused, and nothing is stored`, async (t) => {
      const content = Buffer.from(randomBytes(5 * MIB).toString('hex'));
      const right = framedBlob(content);
      const object = encodedAs({ digest: sha256(content), size: content.length }, change(right.frames));
      const said = await assertRefused(t, t.context, { files: { log: content }, object, right });
      t.like(said, { code, digest: right.plan.digest });
    });
  }

  test('bytes that do not match the stored digest do not arrive', async (t) => {
    const { api } = t.context;
    const files = { a: text(900), b: text(3_000) };
    const log = Buffer.from(text(200 * KIB));
    const id = await packageOf(api, { ...files, log });
    for (const { plan, bytes } of [framedBlob(log, 64 * KIB), framedPack(Object.values(files), [1, 1])]) {
      const [upload] = (await planEncoded(api, id, plan)).body.uploads;
      const changed = Buffer.from(bytes);
      changed.writeUInt8((changed[100] as number) ^ 1, 100);
      t.is((await api.send(upload.parts[0], changed)).status, 400);
      t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.code, 'upload_incomplete');
      t.is((await api.send(upload.parts[0], bytes)).status, 200);
      t.is((await api.post(`/v1/uploads/${upload.upload_id}/commit`)).body.state, 'stored');
    }
  });

  test('parts that are not the stored digest’s together are refused at commit', async (t) => {
    const content = Buffer.concat([randomBytes(6 * MIB), Buffer.alloc(MIB, 'and some more, ')]);
    const right = framedBlob(content);
    const cut = 5 * MIB;
    const parts = [right.bytes.subarray(0, cut), right.bytes.subarray(cut)].map((part) => ({
      digest: sha256(part),
      size: part.length,
    }));
    const stored_digest = sha256('other stored bytes');
    const object = { bytes: right.bytes, plan: { ...right.plan, stored_digest, parts } };
    const said = await assertRefused(t, t.context, { files: { big: content }, object, right });
    t.like(said, { code: 'digest_mismatch', digest: right.plan.digest });
    t.true(said.detail.includes(stored_digest) && said.detail.includes(right.plan.stored_digest), said.detail);
    t.like(said, { expected_digest: stored_digest, actual_digest: right.plan.stored_digest });
  });

  test.serial('a frame that declares 256 KiB and holds a gigabyte is refused, using little memory', async (t) => {
    const claimed = 256 * KIB;
    const content = Buffer.alloc(claimed);
    content.write(text(40));
    const right = framedBlob(content);
    // Both the first thing that is read, and after others.
    const bomb = { bytes: bombOf(claimed, 1024 * MIB), logical: claimed };
    const object = encodedAs({ digest: sha256(content), size: claimed }, [bomb]);
    t.true(object.bytes.length < 40 * KIB);
    const before = process.resourceUsage().maxRSS;
    const said = await assertRefused(t, t.context, { files: { zeros: content }, object, right });
    const grown = (process.resourceUsage().maxRSS - before) / KIB;
    t.is(said.code, 'invalid_frames');
    t.regex(said.detail, /frame at 0 that cannot be decompressed/);
    t.true(grown < 100, `${grown} MiB more than before`);
    t.log(`${grown.toFixed(1)} MiB more than before`);
  });
}
