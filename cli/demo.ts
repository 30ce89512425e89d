import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Package } from '../src/api/types.ts';
import { digestOf } from '../src/core/digest.ts';
import type { Manifest, ManifestFile } from '../src/core/manifest.ts';
import { VERSION } from '../src/version.ts';
import { ApiClient } from './client/api/api-client.ts';
import { catFile } from './client/pull/cat.ts';
import { toCliError } from './errors.ts';
import { countOf, formatBytes, formatSeconds } from './format.ts';
import { sayCounts } from './guide-board/counts.ts';
import { ingestRun } from './guide-board/ingest-run.ts';
import { startLocalService } from './local-service.ts';
import { Output, ReaderGone } from './output.ts';
import { bold, coloursFor, renderText } from './text.ts';
import { guideBoardLines } from './view/guide-board-lines.ts';
import { alignLines, type Line } from './view/lines.ts';
import { retentionLines } from './view/retention-lines.ts';

/**
 * The main job, once through: a guide-board run in, a preserved package out, one file back. The real service runs in this
 * process on a free port, with a data folder of its own that is removed at the end.
 */

const RUN = 'fixtures/guide-board/run-20260513T210255Z';
/** The largest file of the run. */
const FILE = 'artifacts/open-cmis-tck/tck/object-content/stdout.log';
const SHOWN_FILES = 4;
const SHOWN_FACTS = new Set(['assessment', 'result', 'evidence', 'findings', 'score']);

interface Demo {
  client: ApiClient;
  run: string;
  step(title: string, lines: readonly Line[]): Promise<void>;
  /** What the push remembers on the client side also goes into the demo's folder. */
  env: Record<string, string>;
}

async function ingest({ client, run, step, env }: Demo): Promise<Package> {
  const result = await ingestRun(client, { directory: run }, {}, env);
  const pkg = await client.getPackage(result.package_id);
  await step('A guide-board run goes in', [
    ['run', path.relative(process.cwd(), run)],
    ['package', pkg.id],
    [
      'files',
      `${countOf(pkg.file_count, 'file')}, ${formatBytes(pkg.total_size)}, in ${formatSeconds(result.seconds)}`,
    ],
    ...guideBoardLines(pkg.metadata as Manifest['package']['metadata']).filter(([label]) => SHOWN_FACTS.has(label)),
  ]);
  return pkg;
}

async function showManifest({ client, step }: Demo, pkg: Package): Promise<Manifest> {
  const bytes = await client.manifest(pkg);
  if (digestOf(bytes) !== pkg.manifest_digest)
    throw new Error('The digest of the manifest is not the one in its package.');
  const manifest = JSON.parse(bytes.toString()) as Manifest;
  const total = manifest.files.reduce((sum, { size }) => sum + size, 0);
  const kinds: Record<string, number> = {};
  for (const { media_type } of manifest.files) kinds[media_type] = (kinds[media_type] ?? 0) + 1;
  await step('Its manifest lists every file with SHA-256 and size', [
    ['digest', pkg.manifest_digest ?? ''],
    ['lists', `${countOf(manifest.files.length, 'file')}, ${formatBytes(total)}`],
    ['kinds', sayCounts(kinds)],
    ['such as', ...manifest.files.slice(-SHOWN_FILES).map(fileText)],
  ]);
  return manifest;
}

function fileText({ path: logicalPath, sha256, size }: ManifestFile): string {
  return `${sha256.slice(0, 12)}…  ${formatBytes(size).padStart(7)}  ${logicalPath}`;
}

async function showRetention({ client, step }: Demo, pkg: Package): Promise<void> {
  const lines = retentionLines(await client.retention(pkg.id), Date.now());
  await step(
    'How long it is kept',
    lines.filter(([label]) => label !== 'package'),
  );
}

async function readBack({ client, run, step }: Demo, pkg: Package, manifest: Manifest): Promise<void> {
  const original = await readFile(path.join(run, FILE));
  const chunks: Buffer[] = [];
  for await (const chunk of catFile(client, pkg, FILE)) chunks.push(chunk);
  const returned = Buffer.concat(chunks);
  const listed = manifest.files.find((file) => file.path === FILE);
  const same = returned.equals(original) && digestOf(returned) === `sha256:${listed?.sha256}`;
  if (!same) throw new Error(`${FILE} came back with different bytes.`);
  await step('One file comes back', [
    ['file', FILE],
    ['bytes', formatBytes(returned.length)],
    ['compared', 'identical to the original, and to the digest in the manifest'],
  ]);
}

async function demo(keep: boolean, out: Output, colours: boolean): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), 'artifact-store-demo-'));
  const dataDir = path.join(folder, 'data');
  const abort = new AbortController();
  process.once('SIGINT', () => abort.abort());
  let count = 0;
  const step = async (title: string, lines: readonly Line[]): Promise<void> => {
    count += 1;
    const body = renderText(alignLines(lines), colours).replaceAll(/^/gm, '   ');
    await out.write(`${renderText([bold(`${count}. ${title}`)], colours)}\n${body}\n\n`);
  };
  try {
    // Nothing of the environment: the demo is the same everywhere.
    const service = await startLocalService({}, dataDir);
    const { url, token } = service;
    const client = new ApiClient({ url, token, signal: abort.signal, userAgent: `artifact-store-demo/${VERSION}` });
    try {
      await step('A service starts', [
        ['url', url],
        ['data', `${dataDir} (SQLite and a folder)`],
      ]);
      const run = path.join(import.meta.dirname, '..', RUN);
      const parts: Demo = { client, run, step, env: { XDG_CACHE_HOME: path.join(folder, 'cache') } };
      const pkg = await ingest(parts);
      const manifest = await showManifest(parts, pkg);
      await showRetention(parts, pkg);
      await readBack(parts, pkg, manifest);
    } finally {
      client.close();
      await service.stop();
    }
  } finally {
    if (!keep) await rm(folder, { recursive: true, force: true });
  }
  await out.write(
    `${renderText([bold('Done.')], colours)} ${keep ? `The data stays in ${dataDir}.` : 'The data folder is removed.'}\n`,
  );
  await out.write(nextSteps(keep ? dataDir : null));
  await out.end();
}

function nextSteps(dataDir: string | null): string {
  const serve = dataDir === null ? 'npm start' : `npm start -- --data-dir ${dataDir}`;
  return `
Next:
  ${serve.padEnd(52)}  the service, on http://127.0.0.1:8420
  ${`npx artifact-store ingest guide-board ${RUN}`.padEnd(52)}
  ${'npx artifact-store show run-20260513T210255Z'.padEnd(52)}  what is known about it
  ${'npx artifact-store push DIR --producer NAME'.padEnd(52)}  any directory of your own
`;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
  const { stdout, stderr } = process;
  for (const stream of [stdout, stderr]) stream.on('error', () => {});
  try {
    const out = new Output({ stdout, stderr, json: false, quiet: false });
    await demo(values.keep, out, coloursFor(stdout, process.env));
  } catch (thrown) {
    if (thrown instanceof ReaderGone) return;
    const { message, next } = toCliError(thrown);
    stderr.write(`The demo failed: ${message}\n${next === null ? '' : `${next}\n`}`);
    process.exitCode = 1;
  }
}

await main();
