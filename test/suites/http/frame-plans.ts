import { randomBytes } from 'node:crypto';
import { DEFAULT_LIMITS } from '../../../src/core/limits.ts';
import { apiOf, sha256 } from '../../support/api.ts';
import { type Files, packageOf, planEncoded, sendEncoded } from '../../support/encoded-upload.ts';
import {
  bombOf,
  type EncodedPlan,
  encodedAs,
  type FramedObject,
  framedBlob,
  framedPack,
} from '../../support/frames.ts';
import { packOf } from '../../support/pack.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const KIB = 1024;
const MIB = 1024 ** 2;
const { object_size_max: OBJECT_MAX } = DEFAULT_LIMITS;

let made = 0;
/** Text that compresses, and that no other test has. */
function text(size: number): string {
  made += 1;
  return `${process.pid} ${made} one thing is wrong, and all others are right; `.repeat(1 + size / 30).slice(0, size);
}

/** A plan's frame table with these sizes. */
function table(frames: ReadonlyArray<[stored: number, logical: number]>): string {
  const bytes = Buffer.alloc(frames.length * 8);
  for (const [index, [stored, logical]] of frames.entries()) {
    bytes.writeUInt32LE(stored, index * 8);
    bytes.writeUInt32LE(logical, index * 8 + 4);
  }
  return bytes.toString('base64');
}

function sizesOf({ frames }: FramedObject): Array<[number, number]> {
  return frames.map(({ bytes, logical }) => [bytes.length, logical]);
}

/** The plan with another frame table, and the stored size that goes with it. */
function withFrames({ plan }: FramedObject, frames: Array<[number, number]>): EncodedPlan {
  const stored_size = frames.reduce((sum, [stored]) => sum + stored, 0) + 8 * frames.length + 17;
  return { ...plan, frames: table(frames), stored_size };
}

interface Given {
  files: Files;
  pack: FramedObject;
  blob: FramedObject;
}

function given(): Given {
  const files = { a: text(700), b: text(3_000), c: text(9_000) };
  const log = text(200 * KIB);
  return {
    files: { ...files, log },
    pack: framedPack(Object.values(files), [1, 1, 1]),
    blob: framedBlob(Buffer.from(log), 64 * KIB),
  };
}

/** What cannot be an object in frames is refused when it is planned. */
export function framePlansSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  const plans: Array<[what: string, plan: (given: Given) => object, code: string, detail: RegExp]> = [
    ...(['encoding', 'stored_size', 'stored_digest', 'frames'] as const).map(
      (field): [string, (given: Given) => object, string, RegExp] => [
        `without ${field}`,
        ({ pack }) => ({ ...pack.plan, [field]: undefined }),
        'invalid_request',
        /go together/,
      ],
    ),
    ['of an unknown encoding', ({ pack }) => ({ ...pack.plan, encoding: 'gzip' }), 'invalid_request', /encoding/],
    ['whose encoding is none', ({ pack }) => ({ ...pack.plan, encoding: 'identity' }), 'invalid_request', /encoding/],
    [
      'with a malformed stored digest',
      ({ pack }) => ({ ...pack.plan, stored_digest: 'md5:0' }),
      'invalid_digest',
      /md5/,
    ],
    [
      'with a negative stored size',
      ({ pack }) => ({ ...pack.plan, stored_size: -1 }),
      'invalid_request',
      /stored_size/,
    ],
    ['whose frame table is empty', ({ pack }) => withFrames(pack, []), 'invalid_frames', /has no frames/],
    [
      'whose frame table ends in the middle of an entry',
      ({ pack }) => ({ ...pack.plan, frames: Buffer.alloc(12).toString('base64') }),
      'invalid_frames',
      /ends in the middle of an entry/,
    ],
    [
      'with more frames than are taken',
      ({ blob }) =>
        withFrames(
          blob,
          Array.from({ length: 65_537 }, () => [1, 3] as [number, number]),
        ),
      'invalid_request',
      /frames/,
    ],
    [
      'whose frames hold less than its size',
      ({ pack }) => ({ ...pack.plan, size: pack.plan.size + 512 }),
      'invalid_pack',
      /bytes/,
    ],
    [
      'of a loose blob whose frames hold less than its size',
      ({ blob }) => withFrames(blob, sizesOf(blob).slice(0, -1)),
      'invalid_frames',
      /has frames of \d+ bytes, not \d+/,
    ],
    [
      'whose frames hold more than its size',
      ({ blob }) => withFrames(blob, [...sizesOf(blob), [20, 1]]),
      'invalid_frames',
      /has frames of \d+ bytes, not \d+/,
    ],
    ...[1, -1, -17, -8].map((more): [string, (given: Given) => object, string, RegExp] => [
      `whose stored size is ${more} bytes off its frames and seek table`,
      ({ pack }) => ({ ...pack.plan, stored_size: pack.plan.stored_size + more }),
      'invalid_frames',
      /with these frames it has \d+/,
    ]),
    [
      'with an empty frame',
      ({ blob }) => withFrames(blob, [...sizesOf(blob), [13, 0]]),
      'invalid_frames',
      /has an empty frame/,
    ],
    [
      'with a frame of no stored bytes',
      ({ blob }) =>
        withFrames(
          blob,
          sizesOf(blob).map(([stored, logical], nth) => [nth === 1 ? 0 : stored, logical]),
        ),
      'invalid_frames',
      /has an empty frame/,
    ],
    ...[512, 1, 100].map((off): [string, (given: Given) => object, string, RegExp] => [
      `whose frame goes ${off} bytes over the border of a member`,
      ({ pack }) => {
        const [[s1, l1], [s2, l2], ...others] = sizesOf(pack) as [[number, number], [number, number]];
        return withFrames(pack, [[s1, l1 + off], [s2, l2 - off], ...others]);
      },
      'invalid_frames',
      /has a frame that ends at \d+, where no member ends/,
    ]),
    [
      'whose last frame is only what ends the pack',
      ({ pack }) => {
        const sizes = sizesOf(pack);
        const [stored, logical] = sizes.pop() as [number, number];
        return withFrames(pack, [...sizes, [stored, logical - 1_024], [20, 1_024]]);
      },
      'invalid_frames',
      /where no member ends/,
    ],
    [
      'with a frame of more content than is taken',
      ({ blob }) => withFrames({ ...blob, plan: { ...blob.plan, size: 4 * MIB + 1 } }, [[1_000, 4 * MIB + 1]]),
      'invalid_frames',
      /has a frame of 4194305 bytes at 0; at most 4194304/,
    ],
    [
      'with a frame of more stored bytes than its content can need',
      ({ blob }) => {
        const [first, ...others] = sizesOf(blob) as [[number, number]];
        return withFrames(blob, [[100 * MIB, first[1]], ...others]);
      },
      'invalid_frames',
      /stored bytes/,
    ],
    [
      'that is no smaller than its content',
      ({ blob }) => {
        const { size } = blob.plan;
        const stored = size - 17 - 8 * 4;
        return withFrames(blob, [
          [stored - 300, size - 300],
          [100, 100],
          [100, 100],
          [100, 100],
        ]);
      },
      'invalid_frames',
      /send it as it is/,
    ],
    [
      'whose content is larger than any object may be',
      ({ blob }) => ({ ...blob.plan, size: OBJECT_MAX + 1 }),
      'size_mismatch',
      /at most/,
    ],
    [
      'whose parts do not sum to the stored size',
      ({ blob }) => ({ ...blob.plan, parts: [{ digest: blob.plan.stored_digest, size: blob.plan.stored_size - 1 }] }),
      'invalid_parts',
      /sum to/,
    ],
    [
      'whose one part has the digest of the content',
      ({ blob }) => ({ ...blob.plan, parts: [{ digest: blob.plan.digest, size: blob.plan.stored_size }] }),
      'invalid_parts',
      /with another digest/,
    ],
    [
      'whose parts are those of the content',
      ({ blob }) => ({ ...blob.plan, parts: [{ digest: blob.plan.digest, size: blob.plan.size }] }),
      'invalid_parts',
      /sum to/,
    ],
  ];
  for (const [what, plan, code, detail] of plans) {
    test(`a plan of an encoded object ${what} is refused, and names it`, async (t) => {
      const { api } = t.context;
      const all = given();
      const id = await packageOf(api, all.files);
      const wrong = plan(all) as { digest?: string };
      const { status, body } = await planEncoded(api, id, wrong);
      t.deepEqual([status, body.code], [422, code], JSON.stringify(body));
      const said = JSON.stringify(body);
      t.regex(said, detail);
      if (code === 'invalid_request') t.regex(body.errors?.[0]?.field ?? '', /^objects\.0|^objects\[0\]/, said);
      else if (code !== 'invalid_digest') t.is(body.digest, wrong.digest);
      t.is((await planEncoded(api, id, all.pack.plan, all.blob.plan)).status, 200, 'the right ones are taken');
    });
  }

  test('a plan with more frames together than one call takes is refused', async (t) => {
    const { api } = t.context;
    const frames = table(Array.from({ length: 40_000 }, () => [14, 30]));
    const objects = [text(30), text(30)].map((name) => ({
      digest: sha256(name),
      size: 40_000 * 30,
      encoding: 'zstd-seekable',
      stored_size: 40_000 * (14 + 8) + 17,
      stored_digest: sha256(`stored ${name}`),
      frames,
    }));
    const { status, body } = await planEncoded(api, await api.create(), ...objects);
    t.is(status, 422, JSON.stringify(body));
    t.regex(body.detail, /80000 frames together; plan at most 65536/);
  });

  test('stored bytes that one part may not have need parts, whatever the size of the content', async (t) => {
    const service = await startTestService({ limits: { single_part_max: 5 * MIB, part_size: 5 * MIB } });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const content = Buffer.concat([randomBytes(5 * MIB), Buffer.alloc(MIB)]);
    const blob = framedBlob(content);
    const id = await packageOf(api, { big: content });
    const refused = await planEncoded(api, id, blob.plan);
    t.deepEqual([refused.status, refused.body.code], [422, 'parts_required']);
    const little = Buffer.alloc(6 * MIB, 'as large, and compressible ');
    const other = await packageOf(api, { little });
    t.is((await sendEncoded(api, other, framedBlob(little))).answer.body.state, 'stored', 'one part is enough');
  });

  test('a plan whose frames are larger than their content is refused: padding, or bombs', async (t) => {
    const files = { p: text(900), q: text(1_100) };
    const right = framedPack(Object.values(files), [1, 1]);
    const { digest, size, members } = packOf(Object.values(files));
    const frames = right.frames.map(({ logical }) => ({ bytes: bombOf(logical, 512 * MIB), logical }));
    const id = await packageOf(t.context.api, files);
    const { status, body } = await planEncoded(t.context.api, id, encodedAs({ digest, size, members }, frames).plan);
    t.deepEqual([status, body.code, body.digest], [422, 'invalid_frames', digest]);
  });
}
