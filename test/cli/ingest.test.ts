import { execFile } from 'node:child_process';
import { appendFile, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { describeRun } from '../../cli/guide-board/describe-run.ts';
import { readRun } from '../../cli/guide-board/read-run.ts';
import { FIXTURE_RUN } from '../../fixtures/generate-guide-board.ts';
import { PACK_END_SIZE, sizeInPack } from '../../src/core/pack.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { cliOf } from '../support/cli-child.ts';
import { processEnv } from '../support/process-env.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { startStatehub } from '../support/statehub.ts';

const base = await mkdtemp(path.join(tmpdir(), 'artifact-store-ingest-'));
const service: TestService = await startTestService();
const api = apiOf(service.url);
const cli = cliOf({ ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: path.join(base, 'cache') });
test.after.always(async () => {
  await service.dispose();
  await rm(base, { recursive: true, force: true });
});

const ingest = (directory: string, ...options: string[]) =>
  cli('ingest', 'guide-board', directory, ...options, '--json');

let made = 0;

/** A copy of the fixture under a run id of its own, without the large log. */
async function copyRun(): Promise<{ directory: string; runId: string }> {
  const runId = `run-copy-${made++}`;
  const directory = path.join(base, runId);
  await cp(FIXTURE_RUN, directory, { recursive: true, filter: (source) => !source.includes('object-content') });
  for (const file of ['run.json', 'normalized/evidence.json', 'normalized/findings.json']) {
    const target = path.join(directory, file);
    await writeFile(target, (await readFile(target, 'utf8')).replaceAll('run-20260513T210255Z', runId));
  }
  return { directory, runId };
}

async function filesOf(directory: string): Promise<Map<string, Buffer>> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(files.map(async (file) => [path.relative(directory, file), await readFile(file)] as const)),
  );
}

test('the fixture run: every file stored, the metadata computed from it; again, nothing is sent', async (t) => {
  const first = await ingest(FIXTURE_RUN);
  t.is(first.code, 0, first.stderr);
  const files = await filesOf(FIXTURE_RUN);
  const total = [...files.values()].reduce((sum, { length }) => sum + length, 0);
  t.like(first.json, {
    status: 'finalized',
    file_count: files.size,
    total_size: total,
    reused: false,
    run_id: 'run-20260513T210255Z',
    missing: [],
    discrepancies: [],
  });
  t.false('statehub' in first.json);

  const pkg = (await api.get(`/v1/packages/${first.json.package_id}`)).body;
  t.like(pkg, {
    name: 'run-20260513T210255Z',
    producer: 'guide-board',
    subject: 'kontextual-cmis-compat',
    external_id: 'run-20260513T210255Z',
    status: 'finalized',
    manifest_digest: first.json.manifest_digest,
  });
  t.is(pkg.retention.class, 'raw-evidence');
  t.deepEqual(pkg.file_rules, [{ path: 'artifacts/**', days: 30 }], "the run's own policy");
  t.regex(first.stderr, /policy keeps its summary 365 days, and pkg_\w+ expires in 90/);
  t.like(pkg.metadata, {
    run_id: 'run-20260513T210255Z',
    target_profile_ref: 'kontextual-cmis-compat',
    assessment_profile_ref: 'cmis-browser-baseline',
    result_status: 'warning',
    evidence_counts: { pass: 1, warning: 2 },
    finding_counts: { low: 2 },
  });

  const manifest = (await api.get(`/v1/packages/${pkg.id}/manifest`)).body;
  t.deepEqual(
    manifest.files.map((file: { path: string; sha256: string }) => [file.path, `sha256:${file.sha256}`]),
    [...files]
      .map(([name, bytes]) => [name, sha256(bytes)])
      .sort((a, b) => Buffer.compare(Buffer.from(a[0] ?? ''), Buffer.from(b[0] ?? ''))),
  );
  for (const name of [...files.keys()].filter((file) => /Lücken.*html|操作|stderr/.test(file))) {
    const bytes = (await api.get(`/v1/packages/${pkg.id}/files/${name.split('/').map(encodeURIComponent).join('/')}`))
      .body;
    t.is(bytes, files.get(name)?.toString(), name);
  }

  const second = await ingest(FIXTURE_RUN, '--retention-class', 'raw-evidence');
  t.is(second.code, 0, second.stderr);
  t.like(second.json, { package_id: pkg.id, reused: true, uploaded: { objects: 0, bytes: 0 } });
  const longer = await ingest(FIXTURE_RUN, '--retention-class', 'release-evidence');
  t.is(longer.code, 4, 'a class that it does not have');
  t.deepEqual(longer.json.error.asked, [{ field: 'retention_class', asked: 'release-evidence', is: 'raw-evidence' }]);
  t.regex(longer.json.error.next, /artifact-store extend pkg_/);

  const shown = await cli('show', 'run-20260513T210255Z');
  for (const expected of [
    /result +warning\n/,
    /evidence +pass 1, warning 2\n/,
    /findings +low 2 \(expected 2\)\n/,
    /score +48\.75 %\n/,
    /commits +6f0c1b7a94d3 {2}guide-board\n/,
    /reports +reports\/assessment-package\.json\n/,
    /missing +none/,
    /retention +raw-evidence, expires in (89|90) days, on /,
  ]) {
    t.regex(shown.stdout, expected);
  }
});

test('raw artifacts go after the days that the run says, its summary stays; other rules are for the person to give', async (t) => {
  const { directory } = await copyRun();
  const own = await ingest(directory, '--retention-class', 'summary-evidence');
  t.is(own.code, 0, own.stderr);
  t.notRegex(own.stderr, /policy/);
  const manifest = (await api.get(`/v1/packages/${own.json.package_id}/manifest`)).body;
  const paths: string[] = manifest.files.map(({ path: name }: { path: string }) => name);
  const raw = paths.filter((name) => name.startsWith('artifacts/'));
  t.true(raw.length > 10);
  const { id } = (await api.get(`/v1/packages/${own.json.package_id}`)).body;
  const check = (some: string[]) =>
    api.post(`/v1/packages/${id}/file-deletions`, { paths: some, reason: 'r', check: true });
  const early = await check(raw);
  t.like(early, { status: 409, body: { code: 'retention_active' } });
  t.true(Math.abs(Date.parse(early.body.expires_at) - Date.now() - 30 * 86_400_000) < 600_000);
  t.is((await check(paths.filter((name) => !raw.includes(name)))).body.expires_at, null);

  const other = await copyRun();
  const given = await ingest(other.directory, '--file-rule', 'artifacts/**/*.log=7');
  t.is(given.code, 0, given.stderr);
  const { file_rules } = (await api.get(`/v1/packages/${given.json.package_id}`)).body;
  t.deepEqual(file_rules, [{ path: 'artifacts/**/*.log', days: 7 }]);
});

test('another run with the same files: only what differs is sent', async (t) => {
  const [one, two] = [await copyRun(), await copyRun()];
  t.is((await ingest(one.directory)).code, 0);
  const second = await ingest(two.directory, '--retention-class', 'summary-evidence', '--compression', 'off');
  t.is(second.code, 0, second.stderr);
  t.false(second.json.reused);
  const changed = ['run.json', 'normalized/evidence.json', 'normalized/findings.json'];
  const files = await filesOf(two.directory);
  t.deepEqual(second.json.uploaded, {
    objects: 1,
    bytes: changed.reduce((sum, file) => sum + sizeInPack(files.get(file)?.length ?? 0), PACK_END_SIZE),
  });
  t.is((await api.get(`/v1/packages/${second.json.package_id}`)).body.retention.class, 'summary-evidence');
});

test('a run that changed since is refused with the differences; --revision supersedes', async (t) => {
  const { directory, runId } = await copyRun();
  await rm(path.join(directory, 'reports/cmis-maturity-scorecard.md'));
  const first = await ingest(directory);
  t.is(first.code, 0, first.stderr);
  t.true(first.json.missing.includes('reports/cmis-maturity-scorecard.md'));
  await writeFile(path.join(directory, 'reports/cmis-maturity-scorecard.md'), '# written later\n');
  await appendFile(path.join(directory, 'reports/report.md'), 'one more line\n');

  const refused = await ingest(directory);
  t.is(refused.code, 4);
  t.is(refused.json.error.code, 'package_differs');
  t.deepEqual(refused.json.error.differences.added, ['reports/cmis-maturity-scorecard.md']);
  t.deepEqual(refused.json.error.differences.changed, ['reports/report.md']);

  const revised = await ingest(directory, '--revision');
  t.is(revised.code, 0, revised.stderr);
  t.not(revised.json.package_id, first.json.package_id);
  t.is((await api.get(`/v1/packages/${revised.json.package_id}`)).body.supersedes, first.json.package_id);
  t.is((await cli('show', runId, '--json')).json.id, revised.json.package_id);
  t.false(revised.json.missing.includes('reports/cmis-maturity-scorecard.md'));
  t.like((await ingest(directory)).json, { package_id: revised.json.package_id, reused: true });
});

test('missing documents and discrepancies are reported and stored, and stop nothing', async (t) => {
  const { directory } = await copyRun();
  await rm(path.join(directory, 'reports/opencmis-log-review.json'));
  const summary = path.join(directory, 'retention-summary.json');
  await writeFile(summary, JSON.stringify({ evidence_counts: { pass: 9, 'odd \u009b31m': 1 } }));
  const ingested = await ingest(directory);
  t.is(ingested.code, 0, ingested.stderr);
  t.deepEqual(ingested.json.missing, ['reports/opencmis-log-review.json']);
  t.regex(ingested.stderr, /missing in this run: reports\/opencmis-log-review\.json/);
  t.regex(ingested.stderr, /retention-summary\.json does not agree on evidence_counts: .*pass 9/);
  t.false(ingested.stderr.includes('\u009b'), 'what a run says cannot drive a terminal');
  const { metadata } = (await api.get(`/v1/packages/${ingested.json.package_id}`)).body;
  t.deepEqual(metadata.evidence_counts, { pass: 1, warning: 2 });
  t.deepEqual(metadata.discrepancies, ingested.json.discrepancies);
  t.is(metadata.discrepancies[0].claimed.pass, 9);
});

test('an ingest that stopped half-way is continued; if the run changed since, it starts again', async (t) => {
  const { directory, runId } = await copyRun();
  const { metadata, producer, name } = describeRun(await readRun(directory));
  const stopped = await api.create({ name, producer, external_id: runId, metadata });
  await api.store(stopped, {
    'run.json': await readFile(path.join(directory, 'run.json')),
    'gone.txt': 'not there now',
  });
  const continued = await ingest(directory);
  t.is(continued.code, 0, continued.stderr);
  t.is(continued.json.package_id, stopped);

  const other = await copyRun();
  const stale = await api.create({
    name,
    producer,
    external_id: other.runId,
    metadata: { ...metadata, missing: ['x'] },
  });
  const anew = await ingest(other.directory);
  t.is(anew.code, 0, anew.stderr);
  t.not(anew.json.package_id, stale);
  t.is((await api.get(`/v1/packages/${stale}`)).body.status, 'failed');
  t.deepEqual((await api.get(`/v1/packages/${anew.json.package_id}`)).body.metadata.missing, anew.json.missing);
});

test('a directory that is not a run: an error that names the file, and nothing registered', async (t) => {
  const untouched = await startTestService();
  t.teardown(() => untouched.dispose());
  const { directory } = await copyRun();
  const refused = async (message: RegExp, from = directory): Promise<void> => {
    const ended = await ingest(from, '--url', untouched.url);
    t.is(ended.code, 1, ended.stderr);
    t.regex(ended.json.error.message, message);
  };
  for (const [content, message] of [
    ['not JSON', /run\.json is not JSON/],
    ['[]', /run\.json is not a JSON object/],
    ['{"run_id": 7}', /run_id in run\.json is not a text/],
  ] as const) {
    await writeFile(path.join(directory, 'run.json'), content);
    await refused(message);
  }
  await rm(path.join(directory, 'run.json'));
  await refused(/run\.json is missing/);
  await refused(/nowhere cannot be read/, path.join(base, 'nowhere'));
  t.deepEqual((await apiOf(untouched.url).get('/v1/packages')).body.items, []);
});

/** Nothing of any file, but for what the event says by itself. */
function assertNoBytes(t: ExecutionContext, sent: string, files: Map<string, Buffer>): void {
  t.true(sent.length < 4_096, `${sent.length} characters were sent`);
  for (const [name, bytes] of files) {
    const text = bytes.toString();
    for (const at of [0, Math.floor(text.length / 2), text.length - 80]) {
      const piece = text.slice(Math.max(0, at), at + 80);
      if (piece.length === 80) t.false(sent.includes(piece), name);
    }
  }
  t.false(sent.includes('PLACEHOLDER'), 'what looks like a secret in the evidence');
}

test('Statehub gets id, digests and a summary, and no byte of any file', async (t) => {
  const hub = await startStatehub();
  t.teardown(() => hub.close());
  const { directory, runId } = await copyRun();
  const told = ['--author', 'ci', '--workstream', 'ws-7', '--task', 'task-9'];
  const ingested = await ingest(directory, '--statehub', hub.url, ...told);
  t.is(ingested.code, 0, ingested.stderr);
  t.deepEqual(ingested.json.statehub, { posted: true });
  t.is(hub.received.length, 1);
  const request = hub.received[0];
  t.like(request, { method: 'POST', path: '/progress/' });
  const event = JSON.parse(request?.body ?? '');
  t.like(event, { event_type: 'artifact_link', author: 'ci', workstream_id: 'ws-7', task_id: 'task-9' });
  t.like(event.detail, {
    producer: 'guide-board',
    run_id: runId,
    target_profile_ref: 'kontextual-cmis-compat',
    package_id: ingested.json.package_id,
    manifest_digest: ingested.json.manifest_digest,
    artifact_store_api_url: `${service.url}/v1/packages/${ingested.json.package_id}`,
    result_status: 'warning',
  });
  assertNoBytes(t, `${request?.headers}${request?.body}`, await filesOf(directory));
});

test('a Statehub that is down fails nothing; the printed command reports to it later', async (t) => {
  const hub = await startStatehub();
  await hub.close();
  const { directory } = await copyRun();
  const ingested = await ingest(directory, '--statehub', hub.url, '--workstream', 'ws 7');
  t.is(ingested.code, 0, ingested.stderr);
  t.is(ingested.json.status, 'finalized');
  t.false(ingested.json.statehub.posted);
  t.regex(ingested.json.statehub.error, /cannot be reached \(ECONNREFUSED\)/);
  const { package_id } = ingested.json;
  const later = `artifact-store link ${package_id} --post ${hub.url} --workstream 'ws 7'`;
  t.true(ingested.stderr.includes(later), ingested.stderr);

  const failing = await startStatehub([500]);
  t.teardown(() => failing.close());
  const refused = await cli('link', package_id, '--post', failing.url, '--json');
  t.is(refused.code, 1);
  t.false(refused.json.statehub.posted);

  const up = await startStatehub();
  t.teardown(() => up.close());
  const posted = await cli('link', package_id, '--post', up.url, '--workstream', 'ws 7');
  t.is(posted.code, 0, posted.stderr);
  t.like(JSON.parse(up.received[0]?.body ?? ''), { event_type: 'artifact_link', workstream_id: 'ws 7' });
});

test('a Statehub address that cannot be right is refused before anything is sent', async (t) => {
  const { directory, runId } = await copyRun();
  t.is((await ingest(directory, '--statehub', 'hub.example')).code, 2);
  t.is((await ingest(directory, '--statehub', 'http://me:secret@hub.example')).code, 2);
  t.is((await ingest(directory, '--workstream', 'ws-7')).code, 2);
  t.is((await ingest(directory, '--statehub', 'http://hub.example', '--no-finalize')).code, 2);
  t.is((await cli('show', runId)).code, 3);
});

test('the demo does the main job and leaves nothing behind', async (t) => {
  const temporary = path.join(base, 'demo');
  await mkdir(temporary);
  const demo = path.join(import.meta.dirname, '../../cli/demo.ts');
  const { stdout } = await promisify(execFile)(process.execPath, [demo], {
    env: processEnv({ TMPDIR: temporary, ARTIFACT_STORE_URL: 'http://ignored.invalid' }),
  });
  for (const expected of [
    /package +pkg_\w{32}/,
    /lists +33 files/,
    /class +raw-evidence/,
    /identical to the original/,
  ]) {
    t.regex(stdout, expected);
  }
  t.deepEqual(await readdir(temporary), []);
});
