import { readFile } from 'node:fs/promises';
import test from 'ava';
import { mediaType } from '../../src/api/file-requests.ts';
import { FRAME_ENTRY_SIZE } from '../../src/core/frame-table.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { DEFAULT_BOUNDS } from '../../src/http/bounds.ts';
import { ROUTES } from '../../src/http/routes/index.ts';

/** Every byte of a text as a JSON escape would be six; of what may stand in a path no character grows more than threefold. */
const escaped = (text: string): string =>
  JSON.stringify(text).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);

const LONGEST_PATH = `${'é'.repeat(126)}/`.repeat(4) + 'é'.repeat(6);
const DIGEST = `sha256:${'f'.repeat(64)}`;
const {
  files_per_call,
  objects_per_call,
  members_per_call,
  parts_per_call,
  pack_members_max,
  max_parts,
  frames_per_call,
  secret_places_max,
} = DEFAULT_LIMITS;

/** The largest body of each call that a client may have a reason to send, indented and escaped. */
const LARGEST: Record<string, () => string> = {
  createPackage: () =>
    `{"name":${escaped('é'.repeat(512))},"producer":"p","metadata":{"a":${escaped('é'.repeat(130_000))}}}`,
  finalizePackage: () => {
    const places = `{"path": ${escaped(LONGEST_PATH)}, "line": 123456789, "kind": "${'k'.repeat(64)}", "accepted": false}`;
    const by = Array.from({ length: 100 }, (_, kind) => `"${String(kind).padStart(64, 'k')}": 123456789`);
    const secrets = `{"count": 1, "accepted": 0, "by": {${by.join(', ')}}, "places": [${Array(secret_places_max).fill(places).join(',\n')}]}`;
    return `{"file_count": 1, "total_size": 1, "files_digest": "${DIGEST}", "secrets": ${secrets}}`;
  },
  registerFiles: () => {
    const path = escaped(LONGEST_PATH);
    const rest = `"digest": "${DIGEST}", "size": 5497558138880, "media_type": "${'a'.repeat(126)}/${'b'.repeat(126)}", "mtime": "2026-01-01T00:00:00.000000000+00:00", "executable": false, "replace": false`;
    return `{"files": [${Array(files_per_call).fill(`\n    {"path": ${path}, ${rest}}`).join(',')}]}`;
  },
  planUploads: () => {
    const member = { digest: DIGEST, offset: 16_777_216, size: 1_048_576 };
    const part = { digest: DIGEST, size: 67_108_864 };
    const packs = Array(members_per_call / pack_members_max).fill({
      digest: DIGEST,
      size: 16_777_216,
      members: Array(pack_members_max).fill(member),
    });
    const stored = { encoding: 'zstd-seekable', stored_size: 5_497_558_138_880, stored_digest: DIGEST };
    const frames = Buffer.alloc(frames_per_call * FRAME_ENTRY_SIZE).toString('base64');
    const parts = Array(parts_per_call).fill(part);
    const large = { digest: DIGEST, size: 5_497_558_138_880, ...stored, frames, parts };
    const small = Array(objects_per_call - packs.length - 1).fill({
      digest: DIGEST,
      size: 1_048_576,
      ...stored,
      frames: '',
    });
    return JSON.stringify({ objects: [...packs, large, ...small] }, null, 1);
  },
  signUploadParts: () => JSON.stringify({ parts: Array(max_parts).fill(10_000) }, null, 2),
  commitUpload: () =>
    JSON.stringify({ parts: Array(max_parts).fill({ number: 10_000, etag: `"${'f'.repeat(32)}-10000"` }) }),
  planDownloads: () => `{"paths": [${Array(files_per_call).fill(escaped(LONGEST_PATH)).join(',\n ')}]}`,
};

test('the largest body that a call can need fits its bound, and no bound is above json_body_max', (t) => {
  for (const { operationId, body, json } of ROUTES) {
    const { bytes, values } = json(DEFAULT_LIMITS);
    t.true(bytes <= DEFAULT_LIMITS.json_body_max, operationId);
    if (body === null || body === 'bytes') continue;
    const text =
      LARGEST[operationId]?.() ?? escaped(`{"reason":"${'é'.repeat(2_000)}","reference":"${'é'.repeat(512)}"}`);
    t.true(Buffer.byteLength(text) <= bytes, `${operationId}: ${Buffer.byteLength(text)} of ${bytes} bytes`);
    t.true((text.match(/[,[{]/g)?.length ?? 0) <= values, `${operationId}: more than ${values} values`);
  }
  t.deepEqual(
    Object.keys(LARGEST).filter((name) => !ROUTES.some(({ operationId }) => operationId === name)),
    [],
  );
});

test('a call that plans packs takes several full ones', (t) => {
  t.true(members_per_call >= 2 * pack_members_max);
});

test('docs/operations.md has the numbers', async (t) => {
  const text = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const [, section = ''] = /\n## What a request may cost\n(.*?)\n## /s.exec(text) ?? [];
  const bounds = DEFAULT_BOUNDS;
  const seconds = (ms: number) => `${ms / 1_000} s`;
  for (const number of [
    ...[bounds.headersMs, bounds.keepAliveMs, bounds.answerIdleMs, bounds.bytesPatienceMs, bounds.jsonPatienceMs].map(
      seconds,
    ),
    seconds(bounds.lingerMs),
    `${bounds.headerBytes / 1024} KiB |`,
    `${bounds.bodyRate / 1024} KiB/s`,
    `${bounds.jsonInFlight / 1024 ** 2} MiB |`,
    `${bounds.jsonDepth} levels`,
  ])
    t.true(section.includes(number), number);
});

test('connections are kept longer than nginx and HAProxy keep theirs', (t) => {
  t.true(DEFAULT_BOUNDS.keepAliveMs > 60_000);
});

test('a media type takes as long as it is, however many blanks it has', (t) => {
  for (const text of ['text/plain', 'text/plain; charset=utf-8', 'a/b ; x=1', 'a/b;', 'a/b; a=" b "']) {
    t.true(mediaType.safeParse(text).success, text);
  }
  for (const text of [
    'text',
    'text/',
    'a/b c',
    'a/b é',
    'text/plain\r\nx: y',
    `a/b;${' '.repeat(1e6)}é`,
    `a/b${' '.repeat(1e6)}`,
  ]) {
    t.false(mediaType.safeParse(text).success, text.slice(0, 30));
  }
});
