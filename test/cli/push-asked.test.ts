import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ObjectKey } from '../../src/blobs/key-layout.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { isPart, type Relay, startRelay } from '../support/relay.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

interface Bench {
  api: Api;
  service: TestService;
  relay: Relay;
  folder: string;
  run: string;
  cli: (...args: string[]) => ReturnType<typeof runCli>;
  push: (...args: string[]) => ReturnType<typeof runCli>;
}

/** Pushes of one directory: what was asked for is what it becomes, or the push is refused. */
async function bench(t: ExecutionContext): Promise<Bench> {
  const folder = await tempFolder(t);
  const service = await startTestService();
  const relay = await startRelay(service.url);
  t.teardown(async () => {
    await relay.close();
    await service.dispose();
  });
  const run = await writeTree(join(folder, 'run'), { a: 'A', 'b/c': 'C' });
  const env = { ARTIFACT_STORE_URL: relay.url, XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli(args, { env, cwd: folder });
  return {
    api: apiOf(service.url),
    service,
    relay,
    folder,
    run,
    cli,
    push: (...args) => cli('push', run, '--producer', 'tests', '--json', ...args),
  };
}

const NAMED = ['--external-id', 'build-1'];

test('a longer class than that of a finalized package is refused, with the command that keeps it as long', async (t) => {
  const { push, cli } = await bench(t);
  const first = await push(...NAMED, '--retention-class', 'transient');
  t.is(first.code, 0, first.stderr);
  const refused = await push(...NAMED, '--retention-class', 'release-evidence');
  t.is(refused.code, 4, refused.stdout);
  const { error } = refused.json;
  t.like(error, { code: 'package_differs', package_id: first.json.package_id });
  t.deepEqual(error.asked, [{ field: 'retention_class', asked: 'release-evidence', is: 'transient' }]);
  t.regex(error.message, /retention class: asked for release-evidence, is transient/);
  const [command = ''] = /`artifact-store (extend [^`]*)`/.exec(error.next)?.slice(1) ?? [];
  t.is((await cli(...command.replace('TEXT', 'asked').split(' '))).code, 0, command);
  const again = await push(...NAMED, '--retention-class', 'release-evidence');
  t.like(again, { code: 0, json: { reused: true, package_id: first.json.package_id } }, again.stderr);
  // What it was made with, and what asks for nothing, are no difference.
  for (const same of [['--retention-class', 'transient'], []]) t.is((await push(...NAMED, ...same)).code, 0);
});

test('forever, a shorter class, another name, subject or metadata: refused, and --revision applies it', async (t) => {
  const { api, push, folder } = await bench(t);
  const metadata = join(folder, 'metadata.json');
  await writeFile(metadata, '{"n": 1, "of": ["a"]}');
  const first = await push(...NAMED, '--name', 'one', '--subject', 's', '--metadata', metadata);
  t.is(first.code, 0, first.stderr);
  // The same value in another spelling.
  await writeFile(metadata, '{"of":["a"],"n":1.0}');
  t.is((await push(...NAMED, '--name', 'one', '--subject', 's', '--metadata', metadata)).code, 0);
  await writeFile(metadata, '{"n": 2}');
  let newest = first.json.package_id;
  for (const [options, field, asked, is] of [
    [['--retention-class', 'permanent-record'], 'retention_class', 'permanent-record', 'raw-evidence'],
    [['--retention-class', 'transient'], 'retention_class', 'transient', 'permanent-record'],
    [['--name', 'two'], 'name', 'two', 'run'],
    [['--subject', 'another'], 'subject', 'another', null],
    [['--metadata', metadata], 'metadata', { n: 2 }, {}],
  ] as const) {
    const refused = await push(...NAMED, ...options);
    t.is(refused.code, 4, `${options}`);
    t.deepEqual(refused.json.error.asked, [{ field, asked, is }]);
    t.regex(refused.json.error.next, /--revision/);
    t.notRegex(refused.json.error.next, /extend/);
    const revised = await push(...NAMED, ...options, '--revision');
    t.is(revised.code, 0, revised.stderr);
    t.like(revised.json, { reused: false, uploaded: { objects: 0 } });
    t.is((await api.get(`/v1/packages/${revised.json.package_id}`)).body.supersedes, newest);
    newest = revised.json.package_id;
    t.like(await push(...NAMED, ...options, '--revision'), { code: 0, json: { reused: true } }, 'then it is so');
  }
});

test('different content and different options are reported together', async (t) => {
  const { push, run } = await bench(t);
  t.is((await push(...NAMED, '--name', 'one')).code, 0);
  await writeFile(join(run, 'a'), 'another A');
  const refused = await push(...NAMED, '--name', 'two');
  t.is(refused.code, 4);
  t.deepEqual(refused.json.error.differences.changed, ['a']);
  t.deepEqual(refused.json.error.asked, [{ field: 'name', asked: 'two', is: 'one' }]);
  t.regex(refused.json.error.message, /~ a\n.*\nname: asked for two, is one/);
});

for (const [how, args] of [
  ['an external id', NAMED],
  ['none', []],
] as const) {
  test(`an unfinished push that is started again with another class sends nothing, with ${how}`, async (t) => {
    const { relay, push, api } = await bench(t);
    const begun = await push(...args, '--retention-class', 'transient', '--no-finalize');
    t.is(begun.code, 0, begun.stderr);
    const { package_id } = begun.json;
    relay.seen.length = 0;
    const refused = await push(...args, '--retention-class', 'permanent-record');
    t.is(refused.code, 4, refused.stdout);
    t.like(refused.json.error, { code: 'package_differs', package_id });
    t.deepEqual(refused.json.error.asked, [{ field: 'retention_class', asked: 'permanent-record', is: 'transient' }]);
    t.true(refused.json.error.next.includes(`artifact-store rm ${package_id} --reason`), refused.json.error.next);
    t.regex(refused.json.error.next, /--retention-class transient/);
    t.false(
      relay.seen.some(({ method, url }) => method !== 'GET' && url !== '/v1/packages'),
      'nothing was sent',
    );
    t.is((await api.get(`/v1/packages/${package_id}`)).body.status, 'uploading');

    t.is((await api.call('DELETE', `/v1/packages/${package_id}?reason=x`)).status, 200);
    const anew = await push(...args, '--retention-class', 'permanent-record');
    t.like(anew, { code: 0, json: { expires_at: null } }, anew.stderr);
  });
}

test('--resume of a package of another producer, name or external id is refused', async (t) => {
  const { push, cli, run } = await bench(t);
  const first = await push(...NAMED);
  const resume = ['--resume', first.json.package_id, '--json'];
  for (const [options, field] of [
    [['--producer', 'another'], 'producer'],
    [['--producer', 'tests', '--external-id', 'build-2'], 'external_id'],
    [['--producer', 'tests', '--name', 'x'], 'name'],
  ] as const) {
    const refused = await cli('push', run, ...options, ...resume);
    t.is(refused.code, 4, refused.stdout);
    t.is(refused.json.error.asked[0].field, field);
  }
  t.is((await cli('push', run, '--producer', 'tests', ...resume)).code, 0);
});

test('a class that the service does not have is wrong usage, whatever is there', async (t) => {
  const { push } = await bench(t);
  t.is((await push(...NAMED)).code, 0);
  const refused = await push(...NAMED, '--retention-class', 'for-ever');
  t.is(refused.code, 2);
  t.regex(refused.json.error.next, /permanent-record/);
});

test('while a revision is unfinished, readers of its external id get what is finalized', async (t) => {
  const { push, cli, run, folder } = await bench(t);
  const first = await push(...NAMED);
  await writeFile(join(run, 'a'), 'another A');
  const begun = await push(...NAMED, '--revision', '--no-finalize');
  t.is(begun.code, 0, begun.stderr);
  t.not(begun.json.package_id, first.json.package_id);
  const shown = await cli('show', 'build-1', '--json');
  t.is(shown.json.id, first.json.package_id);
  t.is((await cli('verify', 'build-1')).code, 0);
  t.is((await cli('cat', 'build-1', 'a')).stdout, 'A');
  t.is((await cli('pull', 'build-1', join(folder, 'copy'))).code, 0);
  const done = await push(...NAMED, '--revision');
  t.is(done.code, 0, done.stderr);
  t.is(done.json.package_id, begun.json.package_id);
  t.is((await cli('show', 'build-1', '--json')).json.id, done.json.package_id);
  t.is((await cli('cat', 'build-1', 'a')).stdout, 'another A');
});

test('a push of what the store has lost sends it again, and preserves it', async (t) => {
  const { push, cli, service, relay } = await bench(t);
  t.is((await push(...NAMED)).code, 0);
  const { blobs } = service.services;
  for await (const { key } of blobs.objects.list('objects/'))
    await blobs.objects.remove({ key: key as ObjectKey, versionId: null });
  relay.seen.length = 0;
  const healing = await push('--external-id', 'build-2');
  t.is(healing.code, 0, healing.stderr);
  t.like(healing.json, { status: 'finalized', reused: false });
  t.true(healing.json.uploaded.objects > 0);
  t.true(relay.seen.some(isPart));
  t.regex(healing.stderr, /lost bytes/);
  for (const id of ['build-1', 'build-2']) t.is((await cli('verify', id)).code, 0);
});

test('a push seals the files that it has, not what another one put in their place meanwhile', async (t) => {
  const { push, api, relay, run } = await bench(t);
  let changed = false;
  relay.before = async ({ method, url }) => {
    const id = /^\/v1\/packages\/([^/]+)\/finalize$/.exec(url)?.[1];
    if (method !== 'POST' || id === undefined || changed) return 'pass';
    changed = true;
    // As many files and bytes.
    t.is((await api.call('PUT', `/v1/packages/${id}/files/a?replace=true`, 'Z')).status, 201);
    return 'pass';
  };
  const refused = await push(...NAMED);
  t.true(changed);
  t.is(refused.code, 4, refused.stdout);
  t.is(refused.json.error.code, 'list_mismatch');
  const again = await push(...NAMED);
  t.is(again.code, 0, again.stderr);
  t.is((await api.get(`/v1/packages/${again.json.package_id}/files`)).body.items[0].digest, sha256('A'));
  await rm(run, { recursive: true });
});
