import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { type Api, apiOf, sha256 } from '../../support/api.ts';
import type { StartTestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';
import { ADMIN_TOKEN } from '../../support/tokens.ts';

const FILES: Record<string, Buffer> = {
  '100%.txt': Buffer.from('percent'),
  'a/b.sh': Buffer.from('#!/bin/sh\n'),
  'a/empty': Buffer.alloc(0),
  'grüße.log': Buffer.from('Zeile\n'),
};

/** Members of a tar file with short names, by their paths below its one folder. */
function membersOf(tar: Buffer, folder: string): Record<string, string> {
  const members: Record<string, string> = {};
  for (let at = 0; tar[at] !== 0; ) {
    const name = tar.toString('utf8', at, tar.indexOf(0, at));
    const size = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8);
    if (!name.startsWith(`${folder}/`)) throw new Error(`${name} is not in ${folder}`);
    members[name.slice(folder.length + 1)] = tar.toString('utf8', at + 512, at + 512 + size);
    at += 512 * (1 + Math.ceil(size / 512));
  }
  return members;
}

export function bagsSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  async function preserved(api: Api, files = FILES, fields = {}): Promise<string> {
    const id = await api.create({ name: 'run', ...fields });
    await api.store(id, files);
    const { status, body } = await api.post(`/v1/packages/${id}/finalize`);
    if (status !== 200) throw new Error(JSON.stringify(body));
    return id;
  }

  async function bytesOf(url: string, id: string, query: string, headers: Record<string, string> = {}) {
    const answer = await fetch(`${url}/v1/packages/${id}/archive?${query}`, { headers });
    return { answer, bytes: Buffer.from(await answer.arrayBuffer()) };
  }

  async function bagOf(url: string, id: string, query = '') {
    const { answer, bytes } = await bytesOf(url, id, `format=bagit.tar${query}`);
    if (answer.status !== 200) throw new Error(bytes.toString());
    return membersOf(bytes, 'run');
  }

  test('a bag has the files as payload, and what proves the package among its tag files', async (t) => {
    const { api, service } = t.context;
    const id = await preserved(api, FILES, { producer: 'nightly', external_id: 'build-17', subject: 's' });
    const members = await bagOf(service.url, id);
    const own = ['bagit.txt', 'bag-info.txt', 'manifest-sha256.txt'];
    const proofs = ['artifact-store/manifest.json', 'artifact-store/attestation.json'];
    t.deepEqual(Object.keys(members), [
      ...own,
      ...proofs,
      'tagmanifest-sha256.txt',
      ...Object.keys(FILES).map((path) => `data/${path}`),
    ]);
    const lines = (paths: string[], write = (path: string) => path) =>
      paths.map((path) => `${sha256(Buffer.from(members[path] as string)).slice(7)}  ${write(path)}\n`).join('');
    t.is(
      members['manifest-sha256.txt'],
      lines(
        Object.keys(FILES).map((path) => `data/${path}`),
        (path) => path.replace('%', '%25'),
      ),
    );
    t.is(members['tagmanifest-sha256.txt'], lines([...own, ...proofs]));
    const { manifest_digest, finalized_at } = (await api.get(`/v1/packages/${id}`)).body;
    t.is(sha256(Buffer.from(members['artifact-store/manifest.json'] as string)), manifest_digest);
    const envelope = await api.get(`/v1/packages/${id}/attestation`);
    t.deepEqual(JSON.parse(members['artifact-store/attestation.json'] as string), envelope.body);
    const info = members['bag-info.txt'] as string;
    for (const line of [
      'External-Identifier: build-17',
      'Payload-Oxum: 23.4',
      `Bagging-Date: ${finalized_at.slice(0, 10)}`,
      `Artifact-Store-Manifest: ${manifest_digest}`,
    ])
      t.true(info.split('\n').includes(line), line);
  });

  test('the same package gives the same bag, and any range is that slice of it', async (t) => {
    const { api, service } = t.context;
    const id = await preserved(api);
    for (const format of ['bagit', 'bagit.tar']) {
      const query = `format=${format}`;
      const whole = await bytesOf(service.url, id, query);
      const ending = format === 'bagit' ? 'zip' : 'tar';
      t.regex(whole.answer.headers.get('content-disposition') ?? '', new RegExp(`"run\\.${ending}"`));
      const etag = whole.answer.headers.get('etag') ?? '';
      const again = await bytesOf(service.url, id, query);
      t.deepEqual([again.answer.headers.get('etag'), sha256(again.bytes)], [etag, sha256(whole.bytes)]);
      t.is((await bytesOf(service.url, id, query, { 'if-none-match': etag })).answer.status, 304);
      t.is(Number(whole.answer.headers.get('content-length')), whole.bytes.length);
      await fc.assert(
        fc.asyncProperty(fc.nat(whole.bytes.length - 1), fc.nat(5_000), async (from, length) => {
          const last = Math.min(from + length, whole.bytes.length - 1);
          const { bytes } = await bytesOf(service.url, id, query, { range: `bytes=${from}-${last}`, 'if-range': etag });
          t.true(bytes.equals(whole.bytes.subarray(from, last + 1)), `${format} ${from}-${last}`);
        }),
        { numRuns: 15 },
      );
    }
  });

  test('a selection is a bag of what was selected; notes are a tag file', async (t) => {
    const { api, service } = t.context;
    const files = { 'a:b': Buffer.from('colon'), 'raw/x.log': Buffer.from('raw'), 'report.md': Buffer.from('r') };
    const id = await preserved(api, files, { file_rules: [{ path: 'raw/**', days: 0 }] });
    const some = await bagOf(service.url, id, '&path=raw/**');
    t.deepEqual(Object.keys(some).slice(-1), ['data/raw/x.log']);
    t.regex(some['bag-info.txt'] as string, /^Artifact-Store-Selection: raw\/\*\*$/m);
    await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['raw/x.log'], reason: 'over' });
    const members = await bagOf(service.url, id, '&names=portable');
    t.deepEqual(Object.keys(members).slice(-3), ['tagmanifest-sha256.txt', 'data/a_b', 'data/report.md']);
    t.like(JSON.parse(members['artifact-store/notes.json'] as string), {
      removed: ['raw/x.log'],
      renamed: [{ path: 'a:b', name: 'a_b' }],
    });
    t.regex(members['tagmanifest-sha256.txt'] as string, / {2}artifact-store\/notes\.json$/m);
  });

  test('a package that came as a bag: its tag files are no payload, and alone they are no bag', async (t) => {
    const { api, service } = t.context;
    const files = {
      '.bagit/bag-info.txt': Buffer.from('its own'),
      '.bagit/metadata/mets.xml': Buffer.from('<mets/>'),
      x: Buffer.from('x'),
    };
    const metadata = { bagit: { tag_folder: '.bagit', info: { 'Contact-Name': ['A', 'B'] } } };
    const id = await preserved(api, files, { metadata });
    const members = await bagOf(service.url, id);
    t.deepEqual(Object.keys(members).slice(-3), [
      'artifact-store/ingested/bag-info.txt',
      'metadata/mets.xml',
      'data/x',
    ]);
    t.regex(members['bag-info.txt'] as string, /Payload-Oxum: 1\.1\n(?:.*\n)*Contact-Name: A\nContact-Name: B\n/);
    t.is(members['manifest-sha256.txt'], `${createHash('sha256').update('x').digest('hex')}  data/x\n`);
    const none = await api.get(`/v1/packages/${id}/archive?format=bagit&path=.bagit/**`);
    t.deepEqual([none.status, none.body.code], [404, 'file_not_found']);
    t.regex(none.body.detail, /tag files alone/);
  });

  test('a package that is not finalized has no bag', async (t) => {
    const service = await startTestService({ env: { ARTIFACT_STORE_ADMIN_TOKEN: ADMIN_TOKEN } });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url, ADMIN_TOKEN);
    const id = await api.create();
    t.is((await api.get(`/v1/packages/${id}/archive?format=bagit`)).body.code, 'package_not_finalized');
  });
}
