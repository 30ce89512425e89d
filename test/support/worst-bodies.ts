/** What a client may send to cost the service as much as it can: for each call that takes JSON, and for headers. */
export interface Worst {
  what: string;
  /** Of the route. */
  operationId: string;
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** `{id}` and `{upload}` are those of a package and an upload of many parts. */
  path: string;
  /** Made where it is sent: that costs as much as reading it. */
  body?: () => string | Buffer;
  headers?: Record<string, string>;
  /** The body is so many chunks of a blank each. */
  blanks?: number;
  /** What it must be answered with. */
  status: number;
}

const JSON_TYPE = { 'content-type': 'application/json' };
const DIGEST = `sha256:${'a'.repeat(64)}`;
export const MANY_PARTS = 10_000;
export const PART_SIZE = 5 * 1024 ** 2;

export function digestNumber(number: number): string {
  return `sha256:${number.toString(16).padStart(64, '0')}`;
}

function list(count: number, element: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => element(index)).join(',');
}

function metadata(text: string): string {
  return `{"name":"n","producer":"p","metadata":${text}}`;
}

function fileWith(field: string, value: string): string {
  return JSON.stringify({ files: [{ path: 'a', digest: DIGEST, size: 1, [field]: value }] });
}

function files(pathOf: (index: number) => string): string {
  const rest = { digest: DIGEST, size: 1, media_type: 'text/plain', mtime: '2026-01-01T00:00:00Z', replace: true };
  return JSON.stringify({ files: Array.from({ length: 1_000 }, (_, index) => ({ path: pathOf(index), ...rest })) });
}

function members(count: number, from: number): object[] {
  return Array.from({ length: count }, (_, n) => ({
    digest: digestNumber(from + n),
    offset: 512 + n * 1_024,
    size: 500,
  }));
}

const DEEP = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

function posts(operationId: string, path: string, bodies: Array<[string, number, () => string | Buffer]>): Worst[] {
  const sent = { operationId, method: 'POST' as const, path, headers: JSON_TYPE };
  return bodies.map(([what, status, body]) => ({ ...sent, what, status, body }));
}

export const WORST_BODIES: readonly Worst[] = [
  ...posts('createPackage', '/v1/packages', [
    ['metadata of 4 million zeros', 413, () => metadata(`{"a":[${'0,'.repeat(4e6)}0]}`)],
    ['metadata of 500,000 zeros', 422, () => metadata(`{"a":[${'0,'.repeat(5e5)}0]}`)],
    ['metadata of as many zeros as are taken', 201, () => metadata(`{"a":[${'0,'.repeat(19_998)}0]}`)],
    ['metadata of 700,000 keys', 413, () => metadata(`{${list(7e5, (n) => `"k${n}":0`)}}`)],
    ['metadata of 90,000 keys', 422, () => metadata(`{${list(9e4, (n) => `"${n}":0`)}}`)],
    ['metadata of a few keys too many', 422, () => metadata(`{${list(20_050, (n) => `"k${n}":0`)}}`)],
    ['metadata of as many keys as are taken', 201, () => metadata(`{${list(20_000, (n) => `"k${n}":""`)}}`)],
    [
      'metadata of as many keys as are taken, the last one twice',
      400,
      () => metadata(`{${list(20_000, (n) => `"k${n}":""`)},"\\u006b0":""}`),
    ],
    [
      'keys of a megabyte, twice',
      400,
      () => metadata(`{"${'\\u0041'.repeat(8e4)}":0,"${'A'.repeat(8e4)}":[${'{},'.repeat(9e3)}{}]}`),
    ],
    ['20,000 fields that are not known', 422, () => `{"name":"n","producer":"p",${list(20_000, (n) => `"k${n}":0`)}}`],
    ['4 million nested arrays', 413, () => metadata(`{"a":${DEEP(4e6)}}`)],
    ['500,000 nested arrays', 422, () => metadata(`{"a":${DEEP(5e5)}}`)],
    ['500,000 nested objects', 413, () => metadata('{"a":'.repeat(5e5))],
    ['a megabyte of escapes', 201, () => metadata(`{"a":"${'\\u0041'.repeat(17e4)}"}`)],
    ['a name of a megabyte', 422, () => `{"name":"${'x'.repeat(1e6)}","producer":"p"}`],
    ['a megabyte that is no UTF-8', 400, () => Buffer.alloc(1e6, 0xff)],
    ['a megabyte of commas', 422, () => ','.repeat(1e6)],
  ]),
  ...posts('registerFiles', '/v1/packages/{id}/files', [
    ['2.6 million empty files', 413, () => `{"files":[${'{},'.repeat(26e5)}{}]}`],
    ['a million empty files', 422, () => `{"files":[${'{},'.repeat(1e6)}{}]}`],
    ['1,000 empty files', 422, () => `{"files":[${'{},'.repeat(999)}{}]}`],
    ['a media type of 4 million blanks', 422, () => fileWith('media_type', `a/b;${' '.repeat(4e6)}é`)],
    ['an mtime of 4 million digits', 422, () => fileWith('mtime', `2026-01-01T00:00:00.${'1'.repeat(4e6)}`)],
    ['a path of 2 million folders', 422, () => fileWith('path', 'a/'.repeat(2e6))],
    ['1,000 paths of 500 folders', 200, () => files((n) => `${String(n).padStart(4, '0')}/${'d/'.repeat(508)}f`)],
    ['1,000 paths that begin alike', 200, () => files((n) => `${'a/'.repeat(400)}x${'-'.repeat(n % 200)}${n}`)],
    [
      '1,000 paths of combining characters',
      200,
      () => files((n) => `${n}/${'e\u0301\u0323'.repeat(49)}/${'é'.repeat(99)}`),
    ],
  ]),
  ...posts('planUploads', '/v1/packages/{id}/uploads', [
    [
      '2.6 million empty members',
      413,
      () => `{"objects":[{"digest":"${DIGEST}","size":1,"members":[${'{},'.repeat(26e5)}{}]}]}`,
    ],
    [
      '10,000 empty members',
      422,
      () => `{"objects":[{"digest":"${DIGEST}","size":1,"members":[${'{},'.repeat(9_999)}{}]}]}`,
    ],
    [
      '1,000 objects of 10 empty members',
      422,
      () => `{"objects":[${list(1_000, () => `{"digest":"${DIGEST}","size":1,"members":[${'{},'.repeat(9)}{}]}`)}]}`,
    ],
    [
      '8,000 members in four packs',
      422,
      () =>
        JSON.stringify({
          objects: [0, 1, 2, 3].map((n) => ({
            digest: digestNumber(1e6 + n),
            size: 2_000 * 1_024 + 1_024,
            members: members(2_000, n * 2_000),
          })),
        }),
    ],
    [
      '10,000 parts',
      200,
      () =>
        JSON.stringify({
          objects: [
            {
              digest: digestNumber(77),
              size: MANY_PARTS * PART_SIZE,
              parts: Array.from({ length: MANY_PARTS }, (_, n) => ({ digest: digestNumber(n), size: PART_SIZE })),
            },
          ],
        }),
    ],
  ]),
  ...posts('signUploadParts', '/v1/uploads/{upload}/urls', [
    [
      'URLs for 10,000 parts',
      200,
      () => JSON.stringify({ parts: Array.from({ length: MANY_PARTS }, (_, n) => n + 1) }),
    ],
    ['URLs for a million parts', 413, () => `{"parts":[${'1,'.repeat(1e6)}1]}`],
  ]),
  ...posts('commitUpload', '/v1/uploads/{upload}/commit', [
    [
      '10,000 ETags',
      409,
      () =>
        JSON.stringify({
          parts: Array.from({ length: MANY_PARTS }, (_, n) => ({ number: n + 1, etag: 'e'.repeat(32) })),
        }),
    ],
    ['an ETag of a megabyte', 409, () => JSON.stringify({ parts: [{ number: 1, etag: 'e'.repeat(1e6) }] })],
  ]),
  ...posts('planDownloads', '/v1/packages/{id}/downloads', [
    ['downloads of a million zeros', 422, () => `{"paths":[${'0,'.repeat(1e6)}0]}`],
    [
      'downloads of 1,000 long paths',
      404,
      () => JSON.stringify({ paths: Array.from({ length: 1_000 }, (_, n) => `${n}/${'d/'.repeat(500)}f`) }),
    ],
  ]),
  ...posts('finalizePackage', '/v1/packages/{id}/finalize', [
    ['a long number', 413, () => `{"file_count":${'1'.repeat(4e6)}}`],
    ['30,000 digits', 422, () => `{"file_count":${'1'.repeat(3e4)}}`],
  ]),
  ...posts('failPackage', '/v1/packages/{id}/fail', [
    ['a reason of blanks', 422, () => JSON.stringify({ reason: ' '.repeat(30_000) })],
  ]),
  ...posts('extendRetention', '/v1/packages/{id}/retention/extensions', [
    ['a time of 30,000 digits', 422, () => JSON.stringify({ reason: 'r', expires_at: '1'.repeat(30_000) })],
  ]),
  ...posts('placeHold', '/v1/packages/{id}/holds', [['a hold of brackets', 422, () => `{"reason":${DEEP(15_000)}}`]]),
  ...posts('releaseHold', '/v1/packages/{id}/holds/hold_x/release', [
    ['a release of commas', 422, () => `[${','.repeat(30_000)}]`],
  ]),
  ...posts('startSweep', '/v1/operations/sweeps', [
    ['a sweep with a long number', 422, () => `{"max_rewrite":${'1'.repeat(3e4)}}`],
  ]),
  ...posts('startFixity', '/v1/operations/fixity', [
    ['a reading of a package with a long id', 422, () => JSON.stringify({ package_id: 'x'.repeat(3e4), a: 1 })],
  ]),
  ...posts('createToken', '/v1/tokens', [
    [
      'a token for 10,000 producers',
      422,
      () => `{"name":"n","scopes":["operator"],"producers":[${'0,'.repeat(9_999)}0]}`,
    ],
  ]),
  ...posts('createShare', '/v1/packages/{id}/shares', [
    ['a share with a note of escapes', 422, () => `{"note":"${'\\u0020'.repeat(5_000)}"}`],
  ]),
  ...posts('createWebhook', '/v1/webhooks', [
    [
      'a webhook for 10,000 producers',
      422,
      () => `{"url":"https://receiver.example/","producers":[${'0,'.repeat(9_999)}0]}`,
    ],
  ]),
  ...posts('replayWebhook', '/v1/webhooks/whk_x/replay', [
    ['a replay of 10,000 events', 422, () => `{"events":[${'0,'.repeat(9_999)}0]}`],
    [
      'a replay of as many events as can be',
      404,
      () => JSON.stringify({ events: Array(50).fill(`evt_${'0'.repeat(32)}`) }),
    ],
  ]),
  ...posts('planRepairs', '/v1/operations/repairs', [
    [
      'repairs of 1,000 objects',
      200,
      () =>
        JSON.stringify({ objects: Array.from({ length: 1_000 }, (_, n) => ({ digest: digestNumber(n), size: 1 })) }),
    ],
    [
      'repairs of 10,000 empty members',
      422,
      () => `{"objects":[{"digest":"${DIGEST}","size":1,"members":[${'{},'.repeat(9_999)}{}]}]}`,
    ],
  ]),
  ...posts('deleteFiles', '/v1/packages/{id}/file-deletions', [
    [
      'removals of 1,000 long paths',
      409,
      () =>
        JSON.stringify({ reason: 'r', paths: Array.from({ length: 1_000 }, (_, n) => `${n}/${'d/'.repeat(500)}f`) }),
    ],
    ['removals of a million zeros', 422, () => `{"paths":[${'0,'.repeat(1e6)}0]}`],
  ]),
  {
    what: 'a removal with 5,000 escapes',
    operationId: 'removeFile',
    method: 'DELETE',
    path: '/v1/packages/{id}/files/a',
    headers: JSON_TYPE,
    body: () => `{"reason":"${'\\u0020'.repeat(5_000)}"}`,
    status: 422,
  },
  {
    what: 'a deletion with 30,000 escapes',
    operationId: 'deletePackage',
    method: 'DELETE',
    path: '/v1/packages/{id}',
    headers: JSON_TYPE,
    body: () => `{"reason":"${'\\u0020'.repeat(5_000)}"}`,
    status: 422,
  },
  {
    what: 'a revocation with 30,000 escapes',
    operationId: 'revokeToken',
    method: 'DELETE',
    path: '/v1/tokens/tok_x',
    headers: JSON_TYPE,
    body: () => `{"reason":"${'\\u0020'.repeat(5_000)}"}`,
    status: 422,
  },
  {
    what: 'a revocation with 30,000 escapes',
    operationId: 'revokeShare',
    method: 'DELETE',
    path: '/v1/shares/shr_x',
    headers: JSON_TYPE,
    body: () => `{"reason":"${'\\u0020'.repeat(5_000)}"}`,
    status: 422,
  },
  {
    what: 'a removal with 30,000 escapes',
    operationId: 'removeWebhook',
    method: 'DELETE',
    path: '/v1/webhooks/whk_x',
    headers: JSON_TYPE,
    body: () => `{"reason":"${'\\u0020'.repeat(5_000)}"}`,
    status: 422,
  },
  {
    what: 'a cookie of commas',
    operationId: 'getHealth',
    method: 'GET',
    path: '/healthz',
    headers: { cookie: ','.repeat(15_000) },
    status: 200,
  },
  {
    what: 'a media type of blanks',
    operationId: 'putFile',
    method: 'PUT',
    path: '/v1/packages/{id}/files/x',
    body: () => 'x',
    headers: { 'content-type': `a/b;${' '.repeat(14_000)}\xe9` },
    status: 422,
  },
  {
    what: 'a digest of commas',
    operationId: 'putFile',
    method: 'PUT',
    path: '/v1/packages/{id}/files/x',
    body: () => 'x',
    headers: { 'repr-digest': ', sha-256   '.repeat(1_200) },
    status: 422,
  },
  {
    what: 'a token of blanks',
    operationId: 'listPackages',
    method: 'GET',
    path: '/v1/packages?limit=1',
    headers: { authorization: `Bearer ${' '.repeat(7_000)}${'a'.repeat(7_000)} b` },
    status: 200,
  },
  {
    what: 'ETags without end',
    operationId: 'getManifest',
    method: 'GET',
    path: '/v1/packages/{id}/manifest',
    headers: { 'if-none-match': '"a",'.repeat(3_500) },
    status: 409,
  },
  {
    what: 'a million chunks of a byte, as JSON',
    operationId: 'registerFiles',
    method: 'POST',
    path: '/v1/packages/{id}/files',
    headers: JSON_TYPE,
    blanks: 1e6,
    status: 400,
  },
  {
    what: 'a million chunks of a byte, as a file',
    operationId: 'putFile',
    method: 'PUT',
    path: '/v1/packages/{id}/files/blanks?replace=true',
    blanks: 1e6,
    status: 201,
  },
];
