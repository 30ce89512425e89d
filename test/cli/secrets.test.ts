import { hash } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { startRelay } from '../support/relay.ts';
import { startTestService } from '../support/service.ts';
import { writeTree } from '../support/tree.ts';

/** Secrets in what is pushed: told by file, line and kind, refused, accepted, recorded; never shown. */
const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);

const SECRET = 'Tr0ub4dor-and-3';
const OTHER = 'c0rrect-h0rse';
/** As a TCK prints its parameters, and a client its requests. */
const REPORT = `Test Report\norg.apache.chemistry.opencmis.password = *****\norg.apache.chemistry.opencmis.oauth.clientSecret = ${SECRET}\n`;
const LOG = `connecting\n> GET http://admin:${OTHER}@localhost:8080/core/browser HTTP/1.1\n`;
const FILES = { 'reports/tck.txt': REPORT, 'stdout.log': LOG, 'plain.txt': 'nothing\n' };
const PLACES = [
  { path: 'reports/tck.txt', line: 3, kind: 'oauth-client-secret' },
  { path: 'stdout.log', line: 2, kind: 'url-password' },
];
const sha256 = (text: string): string => hash('sha256', text, 'hex');

async function bench(t: ExecutionContext, files: Record<string, string | Uint8Array> = FILES) {
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const run = await writeTree(join(folder, 'run'), files);
  const relay = await startRelay(service.url);
  t.teardown(() => relay.close());
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const outputs: string[] = [];
  const cli = async (...args: string[]) => {
    const ending = await runCli(args, { env, cwd: folder });
    outputs.push(ending.stdout, ending.stderr);
    return ending;
  };
  return {
    folder,
    run,
    relay,
    outputs,
    cli,
    push: (...args: string[]) => cli('push', run, '--producer', 'tests', ...args),
  };
}

const accepted = (yes: boolean) => PLACES.map((place) => ({ ...place, accepted: yes }));

test('a push warns of secrets by file, line and kind; the package records them, and show tells them', async (t) => {
  const { push, cli } = await bench(t);
  const { code, json, stderr } = await push('--json', '--quiet');
  t.is(code, 0, stderr);
  t.deepEqual(json.secrets, accepted(false));
  t.is(json.secret_count, 2);
  t.deepEqual(stderr.split('\n').slice(0, 2), [
    'warning: "reports/tck.txt", line 3: oauth-client-secret',
    'warning: "stdout.log", line 2: url-password',
  ]);
  t.regex(stderr, /warning: 2 secrets in the files.*--secrets-baseline.*--secrets=refuse/);
  const record = {
    count: 2,
    accepted: 0,
    by: { 'oauth-client-secret': 1, 'url-password': 1 },
    places: accepted(false),
  };
  const shown = await cli('show', json.package_id, '--json');
  t.deepEqual(shown.json.metadata.secret_findings, record);
  t.deepEqual(JSON.parse((await cli('manifest', json.package_id)).stdout).package.metadata.secret_findings, record);
  t.regex(
    (await cli('show', json.package_id)).stdout,
    /secrets +2 in clear .*\n.*reports\/tck\.txt, line 3: oauth-client-/,
  );
  const { body: listed } = await api.get('/v1/packages?metadata.secret_findings.by.url-password=1');
  t.true(listed.items.some(({ id }: { id: string }) => id === json.package_id));
});

test('no output, no record, no cache and no registry holds the text of a secret', async (t) => {
  const { folder, push, cli, outputs } = await bench(t);
  const { json } = await push('--json');
  await push('--secrets=refuse');
  await push('--secrets=refuse', '--json');
  await push('--secrets-baseline', '--json');
  await push('--secrets=refuse');
  for (const verb of ['show', 'manifest']) await cli(verb, json.package_id, '--json');
  await cli('show', json.package_id);
  const told = outputs.join('\n');
  t.true(told.includes('oauth-client-secret'));
  const kept = [Buffer.from(told), await readFile(join(folder, 'run', '.artifact-store-secrets'))];
  for (const place of [join(folder, 'cache'), service.dataDir]) {
    for (const name of await readdir(place, { recursive: true })) {
      // The files themselves are there, of course: in the objects.
      if (/\.sqlite/.test(name)) kept.push(await readFile(join(place, name)));
    }
  }
  t.true(kept.length > 3);
  for (const bytes of kept) for (const text of [SECRET, OTHER]) t.false(bytes.includes(text));
});

test('--secrets=refuse ends with exit 4 before the service is asked for anything that it would keep', async (t) => {
  const { relay, push, cli, outputs } = await bench(t);
  const { code, json } = await push('--secrets=refuse', '--json');
  t.is(code, 4);
  t.is(json.error.code, 'secrets_found');
  t.deepEqual(json.error.secrets, PLACES);
  t.is(json.error.secret_count, 2);
  t.regex(json.error.next, /--secrets-baseline.*\.artifact-store-secrets.*--secrets=warn/);
  t.deepEqual(
    relay.seen.filter(({ method }) => method !== 'GET').map(({ url }) => url),
    [],
  );
  await cli('push', 'run', '--producer', 'tests', '--secrets=refuse');
  t.regex(outputs.at(-1) ?? '', /nothing was sent\.\n {2}"reports\/tck\.txt", line 3: oauth-client-secret\n/);
});

test('a directory without secrets passes --secrets=refuse, and nothing is recorded', async (t) => {
  const { push } = await bench(t, { a: 'A', 'b.log': 'Change Token Test\n', 'c.bin': Buffer.from(`\0${REPORT}`) });
  const { code, json, stderr } = await push('--secrets=refuse', '--json');
  t.is(code, 0, stderr);
  t.like(json, { secret_count: 0, secrets: [], status: 'finalized' });
  const { metadata } = (await api.get(`/v1/packages/${json.package_id}`)).body;
  t.deepEqual(metadata, {});
});

test('--secrets-baseline accepts what is there: it is recorded, and neither refused nor warned of; what is new is', async (t) => {
  const { relay, run, push } = await bench(t);
  const written = await push('--secrets-baseline', '--json');
  t.is(written.code, 0, written.stderr);
  t.like(written.json, { baseline: join(run, '.artifact-store-secrets'), added: 2, secret_count: 2 });
  t.deepEqual(relay.seen, []);
  const baseline = await readFile(join(run, '.artifact-store-secrets'), 'utf8');
  t.deepEqual(baseline.trimEnd().split('\n').slice(1), [
    `sha256:${sha256(SECRET)} oauth-client-secret reports/tck.txt`,
    `sha256:${sha256(OTHER)} url-password stdout.log`,
  ]);
  const pushed = await push('--secrets=refuse', '--json');
  t.is(pushed.code, 0, pushed.stderr);
  t.notRegex(pushed.stderr, /warning/);
  t.deepEqual(pushed.json.secrets, accepted(true));
  t.is(pushed.json.file_count, 4, 'the baseline is a file of the directory as any other');
  t.like((await api.get(`/v1/packages/${pushed.json.package_id}`)).body.metadata.secret_findings, { accepted: 2 });

  t.is((await push('--secrets-baseline', '--json')).json.added, 0);
  t.is(await readFile(join(run, '.artifact-store-secrets'), 'utf8'), baseline);
  await appendFile(join(run, 'stdout.log'), `retry with password=${SECRET}\n`);
  const refused = await push('--secrets=refuse', '--json');
  t.is(refused.code, 4);
  t.deepEqual(refused.json.error.secrets, [{ path: 'stdout.log', line: 3, kind: 'password' }]);
  t.is((await push('--secrets-baseline', '--json')).json.added, 1);
  t.true((await readFile(join(run, '.artifact-store-secrets'), 'utf8')).startsWith(baseline));
});

test('a baseline that cannot be read ends the push', async (t) => {
  const { relay, run, push } = await bench(t);
  await writeFile(join(run, '.artifact-store-secrets'), `${SECRET} password a.log\n`);
  const { code, stderr } = await push();
  t.is(code, 2);
  t.regex(stderr, /\.artifact-store-secrets, line 1, does not accept a secret/);
  t.false(stderr.includes(SECRET));
  t.false(relay.seen.some(({ method }) => method !== 'GET'));
  t.is((await push('--secrets=ignore')).code, 0);
});

test('an unchanged file is not read again, and its secrets are told and recorded all the same', async (t) => {
  const { folder, run, push } = await bench(t);
  // What is younger is not remembered.
  const { ctimeMs } = await stat(join(run, 'plain.txt'));
  while (Date.now() <= ctimeMs + 2_100) await sleep(100);
  const first = await push('--json');
  t.is(first.json.read.files, 3);
  const again = await push('--json', '--name', 'again');
  t.is(again.json.read.files, 0);
  t.deepEqual(again.json.secrets, accepted(false));
  t.regex(again.stderr, /"stdout\.log", line 2: url-password/);
  t.is((await api.get(`/v1/packages/${again.json.package_id}`)).body.metadata.secret_findings.count, 2);

  // Nobody looked: then the next push that looks reads them.
  await rm(join(folder, 'cache'), { recursive: true });
  const ignored = await push('--json', '--secrets=ignore');
  t.like(ignored.json, { secret_count: null, secrets: null, read: { files: 3 } });
  t.notRegex(ignored.stderr, /warning/);
  t.deepEqual((await api.get(`/v1/packages/${ignored.json.package_id}`)).body.metadata, {});
  t.like((await push('--json', '--secrets=ignore')).json, { read: { files: 0 } });
  t.like((await push('--json')).json, { read: { files: 3 }, secret_count: 2 });
});

test('an existing package is compared as before, and its files are looked through', async (t) => {
  const { push, run } = await bench(t);
  const named = ['--json', '--external-id', `ext-${sha256(run)}`];
  const first = await push(...named);
  const again = await push(...named);
  t.like(again.json, { reused: true, package_id: first.json.package_id, secret_count: 2 });
  t.regex(again.stderr, /"stdout\.log", line 2: url-password/);
  await appendFile(join(run, 'plain.txt'), 'more\n');
  const revised = await push(...named, '--revision');
  t.is(revised.code, 0, revised.stderr);
  t.is((await api.get(`/v1/packages/${revised.json.package_id}`)).body.metadata.secret_findings.count, 2);
});

test('large files are looked through as small ones, compressed or not', async (t) => {
  const log = `${'INFO session token passed\n'.repeat(100_000)}clientSecret=${SECRET}\n`;
  const { push } = await bench(t, { 'large.log': log, 'small.log': LOG });
  for (const how of ['auto', 'off']) {
    const { json, stderr } = await push('--json', '--rehash', '--compression', how, '--name', how);
    t.deepEqual(
      json?.secrets,
      [
        { path: 'large.log', line: 100_001, kind: 'oauth-client-secret', accepted: false },
        { path: 'small.log', line: 2, kind: 'url-password', accepted: false },
      ],
      stderr,
    );
  }
});

test('metadata may not have the member under which secrets are recorded', async (t) => {
  const { folder, push } = await bench(t);
  await writeFile(join(folder, 'metadata.json'), '{"secret_findings":1}');
  const { code, stderr } = await push('--metadata', join(folder, 'metadata.json'));
  t.is(code, 2);
  t.regex(stderr, /a member "secret_findings"/);
});
