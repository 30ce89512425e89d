import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Answer, type Api, apiOf, sha256 } from '../api.ts';
import { processEnv } from '../process-env.ts';
import { ANSWERS, ARCHIVE, type OldAnswers, type OldPackage } from './fixture.ts';
import { HALF_SENT, OLD_LIMITS, TREES, type TreeName, writeOldTree } from './trees.ts';

/**
 * Writes fixtures/version-0.1.0 anew: runs the service and the command of version 0.1.0, and keeps the data folder that they
 * wrote and what the service said of it. It needs a checkout of that version, with its dependencies:
 *
 *     git worktree add ../artifact-store-0.1.0 48a3d16
 *     (cd ../artifact-store-0.1.0 && npm ci)
 *     node test/support/version-0.1.0/record.ts ../artifact-store-0.1.0 && npm run format
 *
 * It asks for GNU tar. Ids, and times by seconds, differ each time; nothing else does.
 */

/** What the registry took for the time, so that uploads that were left open have expired whenever a test runs. */
const RECORDED_AT = Date.parse('2026-11-01T12:00:00Z');

interface Recorder {
  api: Api;
  /** Runs the old command, and gives what it printed. */
  cli(...args: string[]): Promise<{ package_id: string }>;
  push(tree: TreeName, ...args: string[]): Promise<string>;
  /** Says what a package is made of. */
  keep(id: string, tree: TreeName): void;
}

async function record(checkout: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-record-'));
  const data = join(folder, 'data');
  try {
    const classes = join(folder, 'classes.json');
    await writeFile(classes, JSON.stringify({ scratch: 0 }));
    const { startService } = await import(join(checkout, 'src/server.ts'));
    const { loadConfig } = await import(join(checkout, 'src/config.ts'));
    const config = loadConfig({
      ARTIFACT_STORE_PORT: '0',
      ARTIFACT_STORE_DATA_DIR: data,
      ARTIFACT_STORE_LOG_LEVEL: 'warn',
      ARTIFACT_STORE_RETENTION_CLASSES: classes,
    });
    const shift = RECORDED_AT - Date.now();
    const service = await startService(config, { limits: OLD_LIMITS, timeShift: () => shift });
    const trees = new Map<string, TreeName>();
    const recorder = recorderOf(checkout, folder, service.url, trees);
    let answers: OldAnswers;
    try {
      await finalized(recorder);
      await revised(recorder);
      await ended(recorder);
      await unfinished(recorder);
      answers = { packages: [] };
      for (const [id, tree] of trees) answers.packages.push(await ask(recorder.api, id, tree));
    } finally {
      await service.stop();
    }
    await mkdir(resolve(ARCHIVE, '..'), { recursive: true });
    const reproducible = ['--sort=name', '--owner=0', '--group=0', '--numeric-owner', '--mtime=@0'];
    await promisify(execFile)('tar', [...reproducible, '-I', 'gzip -9n', '-cf', ARCHIVE, '-C', data, '.']);
    await writeFile(ANSWERS, `${JSON.stringify(answers, null, 2)}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function recorderOf(checkout: string, folder: string, url: string, trees: Map<string, TreeName>): Recorder {
  const env = processEnv({ ARTIFACT_STORE_URL: url, XDG_CACHE_HOME: join(folder, 'cache') });
  const recorder: Recorder = {
    api: apiOf(url),
    async cli(...args) {
      const bin = join(checkout, 'cli/bin.ts');
      const { stdout } = await promisify(execFile)(process.execPath, [bin, ...args, '--json'], { env });
      return JSON.parse(stdout);
    },
    async push(tree, ...args) {
      const directory = await writeOldTree(join(folder, 'trees', tree), TREES[tree]);
      const { package_id } = await recorder.cli('push', directory, ...args);
      recorder.keep(package_id, tree);
      return package_id;
    },
    keep: (id, tree) => void trees.set(id, tree),
  };
  return recorder;
}

/** Packages that are whole: held, extended, of several kinds of objects, and by `PUT`. */
async function finalized({ api, cli, push, keep }: Recorder): Promise<void> {
  const nightly = ['--producer', 'nightly'];
  const packs = await push('packs', ...nightly, '--external-id', 'build-1', '--retention-class', 'release-evidence');
  await cli('extend', packs, '--days', '30', '--reason', 'an audit is under way');
  await cli('hold', packs, '--reason', 'claim', '--reference', 'case "7" – ü');
  const kinds = await push('kinds', ...nightly, '--external-id', 'build-2', '--subject', 'every kind of file');
  await cli('hold', kinds, '--reason', 'for a while');
  await cli('release', kinds, '--reason', 'settled');
  await push('nothing', ...nightly, '--name', 'an empty file');

  const metadata = { branch: 'main', 'a.b': { c: [1, 2.5, null, true, 'ü 🎉'] }, number: 1e21 };
  const curl = await api.create({ name: 'by curl', producer: 'curl', subject: 's', metadata });
  keep(curl, 'curl');
  for (const [path, { bytes }] of Object.entries(TREES.curl))
    done(
      await api.call('PUT', `/v1/packages/${curl}/files/${path.split('/').map(encodeURIComponent).join('/')}`, bytes),
    );
  done(await api.post(`/v1/packages/${curl}/finalize`));
}

/** A chain of two revisions, and a third that is open: in version 0.1.0 it has the external id already. */
async function revised({ api, push, keep }: Recorder): Promise<void> {
  const weekly = ['--name', 'weekly', '--producer', 'reports', '--external-id', 'weekly'];
  await push('week1', ...weekly, '--retention-class', 'permanent-record');
  const second = await push('week2', ...weekly, '--retention-class', 'permanent-record', '--revision');
  const fields = { name: 'weekly', producer: 'reports', external_id: 'weekly', retention_class: 'permanent-record' };
  const third = await api.create({ ...fields, supersedes: second });
  keep(third, 'week3');
  const [path = '', { bytes } = { bytes: Buffer.alloc(0) }] = Object.entries(TREES.week3)[1] ?? [];
  await api.store(third, { [path]: bytes });
}

/** A package that was deleted, one that never had a file, and one that failed with uploads that failed and were aborted. */
async function ended({ api, cli, push, keep }: Recorder): Promise<void> {
  const scratch = await push('scratch', '--producer', 'tests', '--external-id', 'gone', '--retention-class', 'scratch');
  await cli('rm', scratch, '--reason', 'no longer needed');

  const failed = await api.create({ name: 'failed', producer: 'tests', external_id: 'again' });
  keep(failed, 'scratch');
  const [member = '', loose = ''] = ['a member', 'aborted'].map(sha256);
  const files = [
    { path: 'member', digest: member, size: 8 },
    { path: 'loose', digest: loose, size: 7 },
  ];
  done(await api.post(`/v1/packages/${failed}/files`, { files }));
  const noTar = Buffer.alloc(2_048, 'no tar');
  const objects = [
    { digest: sha256(noTar), size: noTar.length, members: [{ digest: member, offset: 512, size: 8 }] },
    { digest: loose, size: 7 },
  ];
  const { uploads } = done(await api.post(`/v1/packages/${failed}/uploads`, { objects })).body;
  done(await api.send(uploads[0].parts[0], noTar));
  const refused = await api.post(`/v1/uploads/${uploads[0].upload_id}/commit`);
  if (refused.status !== 422) throw new Error(`a pack that is none was answered with ${refused.status}`);
  done(await api.call('DELETE', `/v1/uploads/${uploads[1].upload_id}`));
  done(await api.post(`/v1/packages/${failed}/fail`, { reason: 'the producer gave up' }));
}

/** A package of which a part was sent: whole objects, and of one object the first of its parts. */
async function unfinished({ api, push, keep }: Recorder): Promise<void> {
  const id = await push(
    'sent',
    '--name',
    'unfinished',
    '--producer',
    'nightly',
    '--external-id',
    'build-3',
    '--no-finalize',
  );
  keep(id, 'unfinished');
  const { bytes } = TREES.unfinished[HALF_SENT] as { bytes: Buffer };
  const digest = sha256(bytes);
  done(await api.post(`/v1/packages/${id}/files`, { files: [{ path: HALF_SENT, digest, size: bytes.length }] }));
  const { part_size } = OLD_LIMITS;
  const parts = [bytes.subarray(0, part_size), bytes.subarray(part_size)];
  const planned = parts.map((part) => ({ digest: sha256(part), size: part.length }));
  const objects = [{ digest, size: bytes.length, parts: planned }];
  const { uploads } = done(await api.post(`/v1/packages/${id}/uploads`, { objects })).body;
  done(await api.send(uploads[0].parts[0], parts[0] as Buffer));
}

async function ask(api: Api, id: string, tree: TreeName): Promise<OldPackage> {
  const { retention, ...pkg } = done(await api.get(`/v1/packages/${id}`)).body;
  const { eligible: _eligible, ...keeping } = retention;
  const { eligible: _soon, reason: _why, ...state } = done(await api.get(`/v1/packages/${id}/retention`)).body;
  const { items } = done(await api.get(`/v1/audit?package_id=${id}&limit=1000`)).body;
  return { tree, package: { ...pkg, retention: keeping }, retention: state, audit: items };
}

function done(answer: Answer): Answer {
  if (answer.status < 300) return answer;
  throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
}

const [, , checkout] = process.argv;
if (checkout === undefined) throw new Error(`Usage: node ${fileURLToPath(import.meta.url)} CHECKOUT`);
await record(resolve(checkout));
