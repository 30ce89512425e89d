import { execFile } from 'node:child_process';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { encodeBagPath } from '../../src/core/bag-names.ts';
import { apiOf } from '../support/api.ts';
import { ARCHIVE_TOOLS, unpackersOf, unpackWith } from '../support/archive-tools.ts';
import { validateBag } from '../support/bag-validator.ts';
import { bagFiles, withFile, writeBag } from '../support/bags.ts';
import { cliOf, runCli } from '../support/cli-child.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree, writeTree } from '../support/tree.ts';
import { zipOf } from '../support/zip-file.ts';

const run = promisify(execFile);
const tools = await required('Unpacking bags', ARCHIVE_TOOLS);
const service = await startTestService();
test.after.always(() => service.dispose());
const api = apiOf(service.url);

/** Names that are written in another way in manifests, or that some systems write in another way. */
const PAYLOAD = {
  '100%': 'percent',
  '%0A': 'no line break',
  'back\\slash "quoted"': 'b',
  'logs/grüße.log': 'NFC',
  'logs/u\u0308ber.log': 'NFD',
  ' leading blank': '',
  'bagit.txt': 'payload of this name',
  'a/b/c.sh': '#!/bin/sh\n',
};
const INFO =
  'External-Identifier: acc-17\nSource-Organization: An archive\nContact-Name: A\nContact-Name: B\n  folded\n';

async function bench(t: ExecutionContext) {
  const folder = await tempFolder(t);
  const temporary = join(folder, 'tmp');
  await mkdir(temporary);
  const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache'), TMPDIR: temporary };
  return { folder, temporary, env, cli: cliOf(env) };
}

async function digestsOf(id: string): Promise<Record<string, string>> {
  const { files } = (await api.get(`/v1/packages/${id}/manifest`)).body;
  return Object.fromEntries(files.map(({ path, sha256 }: { path: string; sha256: string }) => [path, sha256]));
}

const payloadOf = (digests: Record<string, string>) =>
  Object.fromEntries(Object.entries(digests).filter(([path]) => !path.startsWith('.bagit/')));

test('a folder and the same bag in a ZIP file are one package; what has changed since is refused', async (t) => {
  const { folder, temporary, cli } = await bench(t);
  const files = bagFiles({
    payload: PAYLOAD,
    info: INFO,
    tags: { 'metadata/mets.xml': '<mets/>' },
    write: encodeBagPath,
  });
  const bag = await writeBag(join(folder, 'acc 17'), files);
  const ingest = (place: string, ...more: string[]) =>
    cli('ingest', 'bagit', place, '--producer', 'archive', ...more, '--json');
  const first = await ingest(bag, '--subject', 'accession');
  t.is(first.code, 0, first.stdout);
  const id = first.json.package_id;
  t.like(first.json, { status: 'finalized', reused: false, external_id: 'acc-17', file_count: 13 });
  t.deepEqual(first.json.bag, { version: '1.0', algorithms: ['sha256'], warnings: [] });
  const pkg = (await api.get(`/v1/packages/${id}`)).body;
  t.like(pkg, { name: 'acc 17', producer: 'archive', subject: 'accession', external_id: 'acc-17' });
  t.deepEqual(pkg.metadata.bagit.info['Contact-Name'], ['A', 'B folded']);
  const filtered = await api.get('/v1/packages?producer=archive&metadata.bagit.info.Source-Organization=An%20archive');
  t.deepEqual(
    filtered.body.items.map((item: { id: string }) => item.id),
    [id],
  );
  const digests = await digestsOf(id);
  t.deepEqual(payloadOf(digests), await readTree(await writeTree(join(folder, 'payload'), PAYLOAD)));
  t.true('.bagit/metadata/mets.xml' in digests);

  const zip = join(folder, 'other name.zip');
  await writeFile(zip, zipOf(files, 'acc 17/'));
  const second = await ingest(zip);
  t.is(second.code, 0, second.stdout);
  t.like(second.json, { package_id: id, reused: true });
  t.deepEqual(await readdir(temporary), [], 'nothing is left of what was unpacked');

  const changed = await writeBag(join(folder, 'changed'), bagFiles({ payload: { x: 'x' }, info: INFO }));
  const refused = await ingest(changed);
  t.is(refused.code, 4);
  t.is(refused.json.error.code, 'package_differs');
  const revised = await ingest(changed, '--revision');
  t.is(revised.code, 0, revised.stdout);
  t.is((await api.get(`/v1/packages/${revised.json.package_id}`)).body.supersedes, id);
});

test('what is damaged, or no bag, is refused before anything is sent, and leaves nothing', async (t) => {
  const { folder, temporary, cli } = await bench(t);
  const ingest = (place: string) => cli('ingest', 'bagit', place, '--producer', 'refused', '--json');
  const damaged = withFile(bagFiles(), 'data/text-file.txt', () => 'TEXT\n');
  const zip = join(folder, 'damaged.zip');
  await writeFile(zip, zipOf(damaged));
  for (const place of [zip, await writeBag(join(folder, 'damaged'), damaged)]) {
    const { code, json } = await ingest(place);
    t.is(code, 5);
    t.like(json.error, { code: 'integrity_failure', path: 'data/text-file.txt', problem_count: 1 });
  }
  const holey = await ingest(await writeBag(join(folder, 'holey'), { ...bagFiles(), 'fetch.txt': '' }));
  t.deepEqual([holey.code, holey.json.error.code], [1, 'bag_invalid']);
  t.is((await ingest(join(folder, 'nothing'))).code, 2);
  t.is((await cli('ingest', 'bagit', zip)).code, 2, 'no producer');
  t.deepEqual(await readdir(temporary), []);
  t.deepEqual((await api.get('/v1/packages?producer=refused')).body.items, []);
});

test('no file of the payload is left out, whatever the payload says of itself; weak digests are told', async (t) => {
  const { folder, cli } = await bench(t);
  const payload = { '.artifact-store-ignore': '*.log\n', 'a.log': 'kept' };
  const bag = await writeBag(join(folder, 'bag'), bagFiles({ version: '0.97', algorithms: ['md5'], payload }));
  const { code, json, stderr } = await cli('ingest', 'bagit', bag, '--producer', 'archive', '--json');
  t.is(code, 0, stderr);
  t.regex(stderr, /warning: the bag has md5 digests alone/);
  t.deepEqual(Object.keys(payloadOf(await digestsOf(json.package_id))), ['.artifact-store-ignore', 'a.log']);
  t.is(json.external_id, null);
});

test('Ctrl-C ends it, and what was unpacked is removed', async (t) => {
  const { folder, temporary, env } = await bench(t);
  const asked = Promise.withResolvers<void>();
  // Never answers.
  const silent = createServer(() => asked.resolve()).listen(0, '127.0.0.1');
  t.teardown(() => silent.close());
  t.teardown(() => silent.closeAllConnections());
  const zip = join(folder, 'bag.zip');
  await writeFile(zip, zipOf(bagFiles()));
  const args = [
    'ingest',
    'bagit',
    zip,
    '--producer',
    'p',
    '--url',
    `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
  ];
  const ended = runCli(args, {
    env,
    onSpawn: (child) =>
      void asked.promise.then(async () => {
        t.is((await readdir(temporary)).length, 1);
        child.kill('SIGINT');
      }),
  });
  t.is((await ended).code, 130);
  t.deepEqual(await readdir(temporary), []);
});

if (tools) {
  for (const [format, kind] of [
    ['bagit', 'zip'],
    ['bagit.tar', 'tar'],
  ] as const) {
    test(`${format}: what is exported is a bag to others, and ingested it is the same files again, any number of times`, async (t) => {
      const { folder, cli } = await bench(t);
      const source = await writeTree(join(folder, 'source'), PAYLOAD);
      const pushed = await cli(
        'push',
        source,
        '--producer',
        'tests',
        '--name',
        'run: 17',
        '--external-id',
        format,
        '--json',
      );
      t.is(pushed.code, 0, pushed.stdout);
      let id: string = pushed.json.package_id;
      const expected = await digestsOf(id);
      for (const round of ['first', 'second']) {
        const file = join(folder, `${round}.${kind}`);
        const exported = await cli('export', id, file, '--format', format, '--json');
        t.is(exported.code, 0, exported.stdout);
        const into = join(folder, round);
        await unpackWith(unpackersOf(kind)[0] as string, kind, file, into);
        const [name = ''] = await readdir(into);
        t.is(name, 'run_ 17');
        const bag = join(into, name);
        await validateBag(bag);
        const { stdout } = await run('cat', ['bag-info.txt'], { cwd: bag });
        t.regex(stdout, new RegExp(`^External-Identifier: ${format}$`, 'm'));
        t.is(stdout.match(/^Artifact-Store-Package: /gm)?.length, 1);
        const seal = JSON.parse((await run('cat', ['artifact-store/manifest.json'], { cwd: bag })).stdout);
        t.is(seal.package.id, id);
        t.truthy(await stat(join(bag, 'artifact-store/attestation.json')));
        const place = kind === 'zip' ? file : bag;
        const again = await cli('ingest', 'bagit', place, '--producer', round, '--name', 'run: 17', '--json');
        t.is(again.code, 0, again.stdout);
        id = again.json.package_id;
        t.deepEqual(payloadOf(await digestsOf(id)), expected, round);
      }
    });
  }

  test('tag files of an ingested bag are where they were in the exported one, and bag-info says what it said', async (t) => {
    const { folder, cli } = await bench(t);
    const files = bagFiles({ info: INFO, tags: { 'metadata/mets.xml': '<mets/>' }, algorithms: ['sha512'] });
    const bag = await writeBag(join(folder, 'bag'), files);
    const { json } = await cli('ingest', 'bagit', bag, '--producer', 'tags', '--json');
    const file = join(folder, 'out.zip');
    t.is((await cli('export', json.package_id, file, '--format', 'bagit')).code, 0);
    const into = join(folder, 'into');
    await unpackWith('unzip', 'zip', file, into);
    await rename(join(into, 'bag'), join(folder, 'exported'));
    await validateBag(join(folder, 'exported'));
    const paths = Object.keys(await readTree(join(folder, 'exported'))).sort();
    t.deepEqual(paths, [
      'artifact-store/attestation.json',
      'artifact-store/ingested/bag-info.txt',
      'artifact-store/ingested/bagit.txt',
      'artifact-store/ingested/manifest-sha512.txt',
      'artifact-store/ingested/tagmanifest-sha512.txt',
      'artifact-store/manifest.json',
      'bag-info.txt',
      'bagit.txt',
      'data/bare-filename',
      'data/sub/dir/x',
      'data/text-file.txt',
      'manifest-sha256.txt',
      'metadata/mets.xml',
      'tagmanifest-sha256.txt',
    ]);
    const { stdout } = await run('cat', ['bag-info.txt'], { cwd: join(folder, 'exported') });
    t.regex(stdout, /^Source-Organization: An archive$/m);
    t.regex(stdout, /^Contact-Name: A\nContact-Name: B folded$/m);
    await run('sha256sum', ['--check', '--strict', 'manifest-sha256.txt'], { cwd: join(folder, 'exported') });
    await rm(into, { recursive: true });
  });
}
