import { chmod, mkdir, readdir, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { fileSystemProblem } from '../../src/install-check/file-systems.ts';
import { type Machine, machineChecks } from '../../src/install-check/machine.ts';
import type { Check } from '../../src/usecases/diagnose.ts';
import { apiOf } from '../support/api.ts';
import { type CliEnding, runCli } from '../support/cli-child.ts';
import { ADMIN_TOKEN, writeRules } from '../support/identities.ts';
import { startIssuer } from '../support/issuer.ts';
import { startLyingS3 } from '../support/lying-s3.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';

/** `install-check`, on machines and with settings that are good and bad. */
interface Checked extends CliEnding {
  checks: Map<string, Check>;
}

/** Twice: in words, which have the same as the JSON. */
async function check(t: ExecutionContext, env: Record<string, string>): Promise<Checked> {
  const [ended, told] = await Promise.all([
    runCli(['install-check', '--json'], { env }),
    runCli(['install-check'], { env }),
  ]);
  t.is(ended.stderr + told.stderr, '');
  const checks: Check[] = ended.json.checks;
  t.is(ended.code, told.code);
  t.is(ended.json.ok, ended.code === 0);
  t.is(ended.code, checks.some(({ level }) => level === 'failure') ? 1 : 0);
  for (const { says, advice } of checks) {
    if (/\d ms|-check-/.test(says)) continue;
    t.true(told.stdout.includes(` ${says}\n${advice === null ? '' : `     → ${advice}\n`}`), says);
  }
  return { ...told, checks: new Map(checks.map((found) => [found.name, found])) };
}

const FREE = { ARTIFACT_STORE_PORT: '0' };

test('a good place: nothing fails, and nothing stays of what was written', async (t) => {
  const folder = await tempFolder(t);
  const dataDir = join(folder, 'below', 'data');
  const env = { ...FREE, ARTIFACT_STORE_DATA_DIR: dataDir, ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN };
  const { code, stdout, checks } = await check(t, env);
  t.is(code, 0, stdout);
  t.regex(stdout, /\n\nNothing keeps the service from running here\.\n$/);
  t.regex(stdout, /^note There is no data folder yet: it will be made at .*below\/data\.$/m);
  t.regex(stdout, /^ok {3}Files of \S+ can be written, synced \(.* ms\), linked, renamed and locked\.$/m);
  for (const name of ['node', 'zstd', 'clock', 'settings', 'database', 'storage', 'port', 'token', 'public_url'])
    t.is(checks.get(name)?.level, 'ok', name);
  t.deepEqual(await readdir(folder), []);
});

test('the folder of a running service: its port is its own, and it is not disturbed', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  const id = await apiOf(service.url).preserve({ a: 'evidence' });
  const names = async () => Object.keys(await readTree(service.dataDir)).sort();
  const before = await names();
  const port = new URL(service.url).port;
  const { code, stdout } = await check(t, { ARTIFACT_STORE_DATA_DIR: service.dataDir, ARTIFACT_STORE_PORT: port });
  t.is(code, 0, stdout);
  t.true(stdout.includes(`note A service has it open: process ${process.pid} at ${service.url}.\n`), stdout);
  t.true(stdout.includes(`note Port ${port} of 127.0.0.1 is in use by the service that is running.\n`));
  t.deepEqual(await names(), before);
  t.is((await apiOf(service.url).get(`/v1/packages/${id}/files/a`)).body, 'evidence');
});

test('what keeps a service from running is told, each with what to do', async (t) => {
  const folder = await tempFolder(t);
  const [foreign, file, limits, token] = ['foreign', 'file', 'limits.json', 'token'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string];
  await mkdir(foreign);
  await writeFile(join(foreign, 'thesis.txt'), 'mine');
  await writeFile(file, '');
  await writeFile(limits, '{"nonsense": 1}');
  await writeFile(token, `${ADMIN_TOKEN}\n`, { mode: 0o644 });
  const taken = createServer();
  await new Promise<void>((listens) => taken.listen(0, '127.0.0.1', listens));
  t.teardown(() => taken.close());
  const { port } = taken.address() as { port: number };
  const dataDir = join(folder, 'data');
  const cases: Array<[string, Record<string, string>, Check['level'], RegExp]> = [
    ['settings', { PORT: 'http' }, 'failure', /ARTIFACT_STORE_PORT must be a number/],
    ['settings', { LIMITS: limits }, 'failure', /ARTIFACT_STORE_LIMITS: .*nonsense/],
    ['settings', { ATTESTATION_KEY: file }, 'failure', /ARTIFACT_STORE_ATTESTATION_KEY/],
    ['data_folder', { DATA_DIR: foreign }, 'failure', /contains other things \(thesis\.txt\)/],
    ['data_folder', { DATA_DIR: file }, 'failure', /is not a folder/],
    [
      'data_folder_works',
      { DATA_DIR: '/proc/data' },
      'failure',
      /\/proc cannot hold a data folder: making a folder fails/,
    ],
    ['port', { PORT: String(port) }, 'failure', /is in use\.$/],
    ['port', { HOST: '192.0.2.1', ADMIN_TOKEN }, 'failure', /cannot listen on 192\.0\.2\.1/],
    ['token', { HOST: '0.0.0.0' }, 'failure', /the service does not start so/],
    ['public_url', { HOST: '0.0.0.0', ADMIN_TOKEN }, 'warning', /which other machines cannot reach/],
    [
      'secret_modes',
      { ADMIN_TOKEN_FILE: token },
      'warning',
      /token, which ARTIFACT_STORE_ADMIN_TOKEN needs, .*\(644\)/,
    ],
    [
      'database',
      { DATABASE_URL: 'postgres://me:not-told@127.0.0.1:1/x' },
      'failure',
      /PostgreSQL at 127\.0\.0\.1:1, .*ECONNREFUSED/,
    ],
    ['timestamp_authority', { TIMESTAMP_URL: 'http://127.0.0.1:1/' }, 'warning', /gives no time stamp/],
  ];
  for (const [name, change, level, says] of cases) {
    const settings = Object.entries({ PORT: '0', DATA_DIR: dataDir, ...change });
    const ended = await runCli(['install-check', '--json'], {
      env: Object.fromEntries(settings.map(([key, value]) => [`ARTIFACT_STORE_${key}`, value])),
    });
    const found = (ended.json.checks as Check[]).filter((one) => one.name === name && one.level === level);
    t.true(
      found.some((one) => says.test(one.says)),
      `${name}: ${ended.stdout}`,
    );
    t.is(ended.code, level === 'failure' ? 1 : 0, name);
    t.false(ended.stdout.includes(ADMIN_TOKEN) || ended.stdout.includes('not-told'), name);
  }
  t.deepEqual((await readdir(folder)).sort(), ['file', 'foreign', 'limits.json', 'token']);
  t.deepEqual(await readdir(foreign), ['thesis.txt']);
});

test('a folder that this user may not read fails, and says for whom it is to be opened', async (t) => {
  const folder = await tempFolder(t);
  const uid = process.getuid?.() === 0 ? 65_534 : undefined;
  await chmod(folder, uid === undefined ? 0o000 : 0o700);
  t.teardown(() => chmod(folder, 0o700));
  const env = { ...FREE, ARTIFACT_STORE_DATA_DIR: folder };
  const { code, stdout } = await runCli(['install-check'], { env, ...(uid === undefined ? {} : { uid }) });
  t.is(code, 1, stdout);
  t.regex(stdout, /^FAIL The data folder \S+ cannot be read \(EACCES.*: give this user read and write access/m);
});

test('keys that others may read are reported', async (t) => {
  const service = await startTestService();
  t.teardown(() => service.dispose());
  await chmod(join(service.dataDir, 'attestation.pem'), 0o640);
  const { checks } = await check(t, { ...FREE, ARTIFACT_STORE_DATA_DIR: service.dataDir });
  const found = checks.get('data_folder_modes');
  t.is(found?.level, 'warning');
  t.regex(found?.says ?? '', /^Others may read or change \S+\/attestation\.pem \(640\)\.$/);
});

test('a bucket is tried, and emptied again; issuers are asked', async (t) => {
  const [s3, issuer, folder] = await Promise.all([startLyingS3({}), startIssuer(), tempFolder(t)]);
  t.teardown(() => Promise.all([s3.close(), issuer.stop()]));
  const env = {
    ...FREE,
    ARTIFACT_STORE_DATA_DIR: join(folder, 'data'),
    ARTIFACT_STORE_OIDC_RULES: await writeRules(t, issuer),
    ARTIFACT_STORE_S3_BUCKET: 'evidence-of-lies',
    ARTIFACT_STORE_S3_ENDPOINT: s3.endpoint,
    ARTIFACT_STORE_S3_ACCESS_KEY_ID: 'known-key',
    ARTIFACT_STORE_S3_SECRET_ACCESS_KEY: 'the-secret-itself',
  };
  const { code, stdout, checks } = await check(t, env);
  t.is(code, 1, 'a part URL that lives after commit is no basis for preservation');
  t.like(checks.get('storage'), { level: 'ok' });
  t.like(checks.get('part_url_ends_with_upload'), { level: 'failure' });
  t.like(checks.get('replicas'), { level: 'note' });
  t.like(checks.get('issuer'), { level: 'ok' });
  t.false(stdout.includes('the-secret-itself'));
  await issuer.stop();
  t.like((await check(t, env)).checks.get('issuer'), { level: 'warning' });
});

const GOOD: Machine = {
  nodeVersion: 'v24.5.0',
  uid: 1000,
  now: Date.now(),
  limits: 'Max open files            4096                 4096',
};

test('root, a clock that stands, and few open files are reported', (t) => {
  const levels = (machine: Partial<Machine>) =>
    machineChecks({ ...GOOD, ...machine }).flatMap(({ name, level }) => (level === 'ok' ? [] : [`${name} ${level}`]));
  t.deepEqual(levels({}), []);
  t.deepEqual(levels({ limits: null, uid: null }), []);
  t.deepEqual(levels({ uid: 0 }), ['user warning']);
  t.deepEqual(levels({ now: 0 }), ['clock failure']);
  t.deepEqual(levels({ limits: 'Max open files            1024                 1024' }), ['open_files warning']);
  t.deepEqual(levels({ limits: 'Max open files            unlimited            unlimited' }), []);
});

test('file systems that lose what they have, or locks, are known by their numbers', async (t) => {
  t.regex(fileSystemProblem(0x6969, false)?.says ?? '', /NFS/);
  t.regex(fileSystemProblem(-0x01acb2be, false)?.says ?? '', /SMB/, 'as a signed number');
  t.is(fileSystemProblem(0xef53, true), null, 'ext4');
  t.is(fileSystemProblem(0x01021994, false), null, 'nothing is kept there that is not elsewhere');
  const inMemory = await statfs('/dev/shm').catch(() => null);
  if (inMemory !== null) t.regex(fileSystemProblem(inMemory.type, true)?.says ?? '', /tmpfs/);
});
