import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { type CliEnding, runCli } from '../support/cli-child.ts';
import {
  downloadsOf,
  ELIGIBLE,
  endless,
  FILE_BYTES,
  type Lie,
  type LyingRoute,
  type LyingService,
  manifestFile,
  manifestOf,
  planOf,
  type SentObject,
  sealed,
  startLyingService,
} from '../support/lying-service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';
import { PACKAGE_ID, packageAnswer } from '../support/wire.ts';

/** A service that lies, or is broken: the command line ends, says what was wrong, and is not harmed. */

type Lies = Partial<Record<LyingRoute, Lie>>;

interface Run {
  result: CliEnding;
  service: LyingService;
  folder: string;
}

async function run(t: ExecutionContext, lies: Lies, ...args: string[]): Promise<Run> {
  const folder = await tempFolder(t);
  await writeTree(join(folder, 'tree'), { small: 'small file', other: 'another one' });
  const service = await startLyingService(lies);
  t.teardown(() => service.close());
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
  return { result: await runCli(args, { env, cwd: folder }), service, folder };
}

const PUSH = ['push', 'tree', '--producer', 'tests'];
const PULL = ['pull', PACKAGE_ID, 'copy'];

test.serial('the answers of this service that are not lies are accepted', async (t) => {
  for (const args of [['ls'], ['show', PACKAGE_ID], ['verify', PACKAGE_ID], ['eligible'], ['doctor'], PUSH, PULL]) {
    const { result } = await run(t, {}, ...args);
    t.is(result.code, 0, `${args[0]}: ${result.stderr}`);
  }
});

/** Twice what buffers on the way hold. */
const LITTLE = 32_000_000;

const LONG: Array<[name: string, lies: Lies, args: string[], exit: number, says: RegExp]> = [
  ['an error', { packages: endless('{"detail":"', 500) }, ['ls'], 1, /answered with 500/],
  ['an error of storage to a part', { part: endless('<Error>', 418) }, PUSH, 1, /answered with 418/],
  ['an answer to a part', { part: endless('') }, PUSH, 0, /^/],
  ['a list', { packages: endless('{"items":[') }, ['ls', '--limit', '1'], 6, /longer than 344 kB/],
  [
    'blanks after a right list',
    { eligible: endless('{"items":[],"next_cursor":null}', 200, {}, ' ') },
    ['eligible'],
    6,
    /longer than/,
  ],
  ['one document', { package: endless('{"id":"') }, ['show', PACKAGE_ID], 6, /longer than 4\.2 MB/],
  ['limits', { limits: endless('{"x":"') }, PUSH, 6, /longer than 4\.2 MB/],
  ['a manifest', { manifest: endless('{"files":[', 200, {}, '{"a":1},') }, PULL, 6, /longer than/],
  [
    'the list of sha256sum',
    { manifest: endless('a  b') },
    ['manifest', PACKAGE_ID, '--format', 'sha256sum'],
    6,
    /longer than/,
  ],
  ['bytes after the right ones', { bytes: endless(FILE_BYTES.toString()) }, PULL, 0, /^/],
  ['an error for bytes', { bytes: endless('{"detail":"', 418) }, PULL, 1, /answered with 418/],
];

for (const [name, lies, args, exit, says] of LONG) {
  test.serial(`without an end: ${name}`, async (t) => {
    const { result, service } = await run(t, lies, ...args);
    t.is(result.code, exit, result.stderr);
    t.regex(result.stderr, says);
    t.true(service.written() < LITTLE, `${service.written()} bytes`);
  });
}

test.serial('a page of 1.2 GB is not read', async (t) => {
  const metadata = { text: 'x'.repeat(1_000_000) };
  const item = JSON.stringify(packageAnswer({ metadata }));
  const { result, service } = await run(t, { packages: endless('{"items":[', 200, {}, `${item},`) }, 'ls', '--all');
  t.is(result.code, 6);
  t.regex(result.stderr, /longer than 28 MB/);
  t.true(service.written() < 100_000_000, `${service.written()} bytes`);
});

/** Peak memory of the command, in bytes, as its last words. */
const TELL_MEMORY = `data:text/javascript,process.on('exit',()=>process.stderr.write('peak:'+process.resourceUsage().maxRSS*1024))`;

for (const [name, element] of [
  ['objects', '{}'],
  ['lists', '[]'],
  ['numbers', '0'],
] as const) {
  test.serial(`a page full of the smallest ${name} costs neither time nor memory`, async (t) => {
    const text = `{"items":[${`${element},`.repeat(Math.floor(27_000_000 / (element.length + 1)))}${element}],"next_cursor":null}`;
    const service = await startLyingService({ packages: (response) => response.end(text) });
    t.teardown(() => service.close());
    const env = { ARTIFACT_STORE_URL: service.url, NODE_OPTIONS: `--import=${TELL_MEMORY}` };
    const result = await runCli(['ls', '--all'], { env });
    t.is(result.code, 6);
    t.regex(result.stderr, /its answer has more than 2000000 values/);
    const peak = Number(/peak:(\d+)$/.exec(result.stderr)?.[1]);
    t.true(peak < 500_000_000, `${peak} bytes`);
  });
}

test.serial('more items than were requested are not a page', async (t) => {
  const items = Array(201).fill(sealed());
  const { result } = await run(t, { packages: { json: { items, next_cursor: null } } }, 'ls', '--all');
  t.is(result.code, 6);
  t.regex(result.stderr, /its lists are longer than they can be/);
});

function lyingManifest(about: Record<string, unknown>): Lies {
  const manifest = manifestOf([manifestFile(about)]);
  return { package: { json: sealed(manifest) }, manifest: (response) => response.end(manifest) };
}

const WRONG: Array<[name: string, lies: Lies, args: string[], says: RegExp]> = [
  ['a manifest with the size -1', lyingManifest({ size: -1 }), PULL, /files\.0\.size/],
  [
    'a manifest with the size "x"',
    lyingManifest({ size: 'x' }),
    PULL,
    /files\.0\.size: expected number, received string/,
  ],
  ['a manifest with the size 1.5', lyingManifest({ size: 1.5 }), ['verify', PACKAGE_ID], /files\.0\.size/],
  ['a manifest with a wrong digest', lyingManifest({ sha256: 'x' }), PULL, /files\.0\.sha256/],
  [
    'a list of files with a negative size',
    {
      package: { json: packageAnswer() },
      files: {
        json: {
          items: [
            {
              path: 'f',
              digest: `sha256:${'a'.repeat(64)}`,
              size: -1,
              media_type: 'a/b',
              mtime: null,
              executable: false,
              state: 'stored',
            },
          ],
          next_cursor: null,
        },
      },
    },
    PULL,
    /items\.0\.size/,
  ],
  [
    'a next_cursor that repeats',
    { packages: { json: { items: [sealed()], next_cursor: 'c' } } },
    ['ls', '--all'],
    /goes in circles/,
  ],
  [
    'a list of files that goes in circles',
    {
      package: { json: packageAnswer() },
      files: { json: { items: [], next_cursor: 'c' } },
    },
    PULL,
    /empty and not the last/,
  ],
  [
    'eligible packages that go in circles',
    { eligible: { json: { items: [ELIGIBLE], next_cursor: 'c' } } },
    ['eligible', '--all'],
    /goes in circles/,
  ],
  [
    'an answer that nests a million deep',
    { packages: (response) => response.end(`${'['.repeat(1e6)}${']'.repeat(1e6)}`) },
    ['ls', '--json'],
    /nested deeper than 1000 levels/,
  ],
  [
    'metadata that nests deeply',
    {
      package: (response) =>
        response.end(
          JSON.stringify(sealed()).replace('"metadata":{}', `"metadata":{"a":${'['.repeat(1e5)}${']'.repeat(1e5)}}`),
        ),
    },
    ['show', PACKAGE_ID, '--json'],
    /metadata: is nested more deeply/,
  ],
  ['no JSON', { packages: (response) => response.end('<html>welcome</html>') }, ['ls'], /its answer is not JSON/],
  ['another kind of JSON', { packages: { json: [] } }, ['ls'], /expected object, received array/],
  ['null', { package: { json: null } }, ['show', PACKAGE_ID], /expected object, received null/],
  [
    'an id that is a path',
    { package: { json: packageAnswer({ id: '../../x' }) } },
    ['rm', PACKAGE_ID, '--reason', 'x'],
    /id: is not an id/,
  ],
  [
    'a time that is none',
    { package: { json: packageAnswer({ created_at: 'yesterday' }) } },
    ['show', PACKAGE_ID],
    /created_at/,
  ],
  [
    'limits of 0',
    { limits: { json: { ...DEFAULT_LIMITS, files_per_call: 0 } } },
    PUSH,
    /files_per_call: is not a whole number from 1 to/,
  ],
  [
    'a redirect',
    { package: (response) => response.writeHead(302, { location: 'http://elsewhere.example/' }).end() },
    ['show', PACKAGE_ID],
    /with 302, to http:\/\/elsewhere\.example/,
  ],
  ['a part outside its object', { uploads: lyingUpload({ offset: 1 }) }, PUSH, /lies outside its object/],
  [
    'a part with another length in its headers',
    { uploads: lyingUpload({ headers: { 'Content-Length': '1' } }) },
    PUSH,
    /another length/,
  ],
  ['a part whose headers are none', { uploads: lyingUpload({ headers: { x: 'a\r\nb: c' } }) }, PUSH, /are not headers/],
  [
    'a part whose URL is none',
    { uploads: lyingUpload({ url: 'file:///etc/passwd' }) },
    PUSH,
    /is not an http\(s\) URL/,
  ],
  ['no upload for what was asked', { uploads: { json: { uploads: [] } } }, PUSH, /planned no upload/],
  ['bytes without a URL', { downloads: { json: downloadsOf('', { url: 'data:,' }) } }, PULL, /name no URL/],
];

/** A plan whose one part says something else. */
function lyingUpload(about: object): Lie {
  return (response, { base, body }) => {
    const { objects } = JSON.parse(body) as { objects: SentObject[] };
    const uploads = objects.map((object) => planOf(base, object, about));
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ uploads }));
  };
}

for (const [name, lies, args, says] of WRONG) {
  test.serial(`is no answer of an artifact-store: ${name}`, async (t) => {
    const { result, folder } = await run(t, lies, ...args);
    const json = args.includes('--json');
    t.is(result.code, 6, result.stderr);
    const message: string = json ? result.json.error.message : result.stderr;
    t.regex(message, /http:\/\/127\.0\.0\.1:\d+ did not answer as an artifact-store does: /);
    t.regex(message, says);
    t.deepEqual(await readdir(join(folder, 'copy')).catch(() => []), []);
  });
}

test.serial('fields that a newer service adds are not an error, and are dropped', async (t) => {
  const pkg = { ...sealed(), colour: 'green', retention: { ...sealed().retention, colour: 'green' } };
  const { result } = await run(t, { package: { json: pkg } }, 'show', PACKAGE_ID, '--json');
  t.is(result.code, 0);
  t.is(result.json.id, PACKAGE_ID);
  t.notRegex(result.stdout, /green/);
});

for (const [name, host] of [
  ['169.254.169.254', '169.254.169.254'],
  ['IPv6', '[fe80::1]'],
  ['IPv4 written as IPv6', '[::ffff:a9fe:a9fe]'],
  ['a number', '2852039166'],
] as const) {
  test.serial(`a signed URL to a link-local address is not contacted: ${name}`, async (t) => {
    const { result } = await run(t, { downloads: { json: downloadsOf(`http://${host}`) } }, ...PULL);
    t.is(result.code, 6, result.stderr);
    t.regex(result.stderr, /is not contacted: .+ is a link-local address/);
    const push = await run(t, { uploads: lyingUpload({ url: `http://${host}/part` }) }, ...PUSH);
    t.is(push.result.code, 6, push.result.stderr);
    t.regex(push.result.stderr, /is not contacted: .+ is a link-local address/);
    const direct = await runCli(['ls', '--url', `http://${host}:8420`]);
    t.is(direct.code, 6);
    t.regex(direct.stderr, /is not contacted: .+ is a link-local address/);
  });
}
