import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { apiOf } from '../support/api.ts';
import { buildInto } from '../support/built.ts';
import { MIGRATION_TOOLS } from '../support/migration-tools.ts';
import { processEnv } from '../support/process-env.ts';
import { required } from '../support/required.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';

/** The scripts of docs/migrate.md, as they stand, with the built command and a real service. */
const test = anyTest as TestFn<{ service: TestService; bin: string }>;
const PAGE = resolve(import.meta.dirname, '../../docs/migrate.md');

interface Ending {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs a script of the page as the page says. */
async function script(
  t: ExecutionContext<{ service: TestService; bin: string }>,
  name: string,
  args: string[],
  { stdin = '', env = {} }: { stdin?: string; env?: Record<string, string> } = {},
): Promise<Ending> {
  const page = await readFile(PAGE, 'utf8');
  const [, text] = new RegExp(`^\`\`\`bash\\n(# ${name} .*?)^\`\`\`$`, 'ms').exec(page) ?? [];
  if (text === undefined) throw new Error(`the page has no ${name}`);
  const file = join(await tempFolder(t), name);
  await writeFile(file, text);
  const plain = processEnv({
    ARTIFACT_STORE_URL: t.context.service.url,
    TZ: 'UTC',
    XDG_CACHE_HOME: join(t.context.bin, '../cache'),
    ...env,
  });
  return new Promise((done) => {
    const options = { env: { ...plain, PATH: `${t.context.bin}${delimiter}${plain.PATH}` } };
    const child = execFile('bash', ['-euo', 'pipefail', file, ...args], options, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
    child.stdin?.end(stdin);
  });
}

const RUNS = {
  'run 1/result.xml': '<passed/>',
  'run 1/logs/büild.log': 'built\n'.repeat(1_000),
  'run-2/result.xml': '<passed/>',
  'run-2/tool.sh': '#!/bin/sh\n',
};
const LATER = new Date('2025-03-04T05:06:07.250Z');
const EARLIER = new Date('2024-03-04T05:06:07.250Z');

async function runs(t: ExecutionContext): Promise<string> {
  const folder = join(await tempFolder(t), 'old runs');
  await writeTree(folder, RUNS);
  await chmod(join(folder, 'run-2/tool.sh'), 0o755);
  for (const path of Object.keys(RUNS)) {
    const time = path.startsWith('run-2') ? EARLIER : LATER;
    await utimes(join(folder, path), time, time);
  }
  for (const [run, time] of [
    ['run 1', LATER],
    ['run-2', EARLIER],
  ] as const)
    await utimes(join(folder, run), time, time);
  return folder;
}

if (await required('Moving in', MIGRATION_TOOLS)) {
  const cleanUp: Array<() => Promise<void>> = [];

  test.before(async (t) => {
    const folder = await tempFolder({ teardown: (work) => void cleanUp.push(work) });
    const { dist } = await buildInto(folder);
    const bin = join(folder, 'bin');
    await mkdir(bin);
    await writeFile(join(bin, 'artifact-store'), `#!/bin/sh\nexec "${process.execPath}" "${dist}/cli/bin.js" "$@"\n`);
    await chmod(join(bin, 'artifact-store'), 0o755);
    t.context = { service: await startTestService(), bin };
  });

  test.after.always(async (t) => {
    await t.context.service?.dispose();
    for (const work of cleanUp) await work();
  });

  test('a shared folder moves, oldest first; again nothing is stored; what is missing is named; it comes back out', async (t) => {
    const folder = await runs(t);
    const api = apiOf(t.context.service.url);
    const names = 'run-2\nrun 1\n';
    const before = await script(t, 'check-move.sh', ['shared'], { stdin: names });
    t.is(before.code, 1, before.stderr);
    t.regex(before.stdout, /missing: run-2/);

    const moved = await script(t, 'migrate-folder.sh', [folder, 'shared']);
    t.is(moved.code, 0, moved.stdout + moved.stderr);
    const list = async () => (await api.get('/v1/packages?producer=shared')).body.items;
    const packages = await list();
    t.deepEqual(
      packages.map((one: { external_id: string; status: string }) => [one.external_id, one.status]),
      [
        ['run 1', 'finalized'],
        ['run-2', 'finalized'],
      ],
      'the newest first',
    );
    t.deepEqual(packages[0].metadata.migrated, {
      from: join(folder, 'run 1'),
      last_change: '2025-03-04T05:06:07.2500000000Z',
    });
    t.is((await script(t, 'check-move.sh', ['shared'], { stdin: names })).code, 0);

    t.is((await script(t, 'migrate-folder.sh', [folder, 'shared'])).code, 0, 'again');
    t.is((await list()).length, 2);
    await writeFile(join(folder, 'run 1/result.xml'), '<failed/>');
    const changed = await script(t, 'migrate-folder.sh', [folder, 'shared']);
    t.is(changed.code, 4, 'a run that changed since is not passed over');

    const out = join(await tempFolder(t), 'out');
    const back = await script(t, 'back-out.sh', ['shared', out]);
    t.is(back.code, 0, back.stdout + back.stderr);
    const source = join(await tempFolder(t), 'as they were');
    await writeTree(source, RUNS);
    t.deepEqual(await readTree(out), await readTree(source));
    for (const path of Object.keys(RUNS)) {
      const { mtimeMs, mode } = await stat(join(out, path));
      t.is(mtimeMs, (path.startsWith('run-2') ? EARLIER : LATER).getTime(), path);
      t.is((mode & 0o100) !== 0, path.endsWith('.sh'), path);
    }
  });

  test('a bucket moves run by run with the times of its objects, and leaves nothing of it here', async (t) => {
    const folder = await runs(t);
    const work = await tempFolder(t);
    // As a bucket, rclone's own stand-in: a place that has files of other folders under another name.
    const env = {
      RCLONE_CONFIG: join(work, 'none'),
      RCLONE_CONFIG_OLD_TYPE: 'alias',
      RCLONE_CONFIG_OLD_REMOTE: folder,
      TMPDIR: work,
    };
    await rm(join(folder, 'run-2/tool.sh'));
    const moved = await script(t, 'migrate-bucket.sh', ['old:', 'bucket'], { env });
    t.is(moved.code, 0, moved.stdout + moved.stderr);
    const { items } = (await apiOf(t.context.service.url).get('/v1/packages?producer=bucket')).body;
    t.deepEqual(items.map((one: { name: string }) => one.name).sort(), ['run 1', 'run-2']);
    for (const { id, external_id, metadata } of items) {
      t.is(metadata.migrated.from, `old:/${external_id}`);
      const manifest = (await apiOf(t.context.service.url).get(`/v1/packages/${id}/manifest`)).body;
      const times = new Set(manifest.files.map(({ mtime }: { mtime: string }) => Date.parse(mtime)));
      t.deepEqual([...times], [(external_id === 'run-2' ? EARLIER : LATER).getTime()]);
    }
    t.false(Object.keys(await readTree(work)).some((path) => path.includes('result.xml')));
  });
}
