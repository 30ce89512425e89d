import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext, TestFn } from 'ava';
import type { AuditEvent, File, Package } from '../../src/api/types.ts';
import { type Api, apiOf, sha256 } from '../support/api.ts';
import { type CliEnding, runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { readTree } from '../support/tree.ts';
import { type OldPackage, oldAnswers, type UnpackOptions } from '../support/version-0.1.0/fixture.ts';
import { HALF_SENT, OLD_LIMITS, type OldTree, TREES, writeOldTree } from '../support/version-0.1.0/trees.ts';

export interface OldStore {
  dataDir: string;
  /** Where registry and objects are, when they are not in the data folder. */
  env?: Record<string, string>;
}

export interface OldStoreSuite {
  name: string;
  /** Lays out, for one test, what version 0.1.0 wrote. */
  layOut(t: ExecutionContext, options?: UnpackOptions): Promise<OldStore>;
}

interface Opened {
  url: string;
  api: Api;
  folder: string;
  cli(...args: string[]): Promise<CliEnding>;
  /** What version 0.1.0 said, by external id and tree. */
  old: Map<string, OldPackage>;
}

const DAY = 86_400_000;
const LEFT_TO_SEND = (TREES.unfinished[HALF_SENT]?.bytes.length ?? 0) - OLD_LIMITS.part_size;

/** What version 0.1.0 wrote is opened, whole, and goes on. Nothing here knows today's schema. */
export function oldStoreSuite(test: TestFn, { name, layOut }: OldStoreSuite): void {
  async function open(t: ExecutionContext, options?: UnpackOptions): Promise<Opened> {
    const folder = await tempFolder(t);
    const service = await startTestService(await layOut(t, options));
    t.teardown(() => service.dispose());
    const env = { ARTIFACT_STORE_URL: service.url, XDG_CACHE_HOME: join(folder, 'cache') };
    const { packages } = await oldAnswers();
    return {
      url: service.url,
      api: apiOf(service.url),
      folder,
      cli: (...args) => runCli([...args, '--json'], { env, cwd: folder }),
      old: new Map(packages.map((pkg) => [`${pkg.package.external_id} ${pkg.tree}`, pkg])),
    };
  }

  test(`${name}: every package that version 0.1.0 finalized is pulled byte for byte`, async (t) => {
    const { url, api, cli, folder, old } = await open(t);
    const finalized = [...old.values()].filter((pkg) => pkg.package.status === 'finalized');
    t.is(finalized.length, 6);
    for (const { package: pkg, tree } of finalized) {
      await assertPulled(t, { cli, folder }, pkg.id, TREES[tree]);
      const manifest = await (await fetch(`${url}/v1/packages/${pkg.id}/manifest`)).text();
      t.is(sha256(manifest), pkg.manifest_digest ?? '');
      // Version 0.1.0 wrote the manifest from its rows.
      const files = (await api.get(`/v1/packages/${pkg.id}/files?limit=1000`)).body as { items: File[] };
      t.deepEqual(files.items.map(inManifest), JSON.parse(manifest).files);
      t.true(files.items.every(({ state }) => state === 'stored'));
    }
    t.is((await cli('verify', packageOf(old, 'build-2 kinds').id)).code, 0);
    const doctor = await cli('doctor');
    t.is(doctor.code, 0, doctor.stdout);
  });

  test(`${name}: version 0.1.0's packages, holds, retention, revisions and audit are told as it told them`, async (t) => {
    const { api, old } = await open(t);
    const { items } = (await api.get('/v1/packages?limit=1000')).body as { items: Package[] };
    const listed = [...old.values()].filter((pkg) => pkg.package.status !== 'deleted');
    t.deepEqual(items.map(({ id }) => id).sort(), listed.map((pkg) => pkg.package.id).sort());
    for (const { package: pkg, retention, audit } of old.values()) {
      // A revision that is open supersedes nothing any more.
      const superseded_by = isOpen(old, pkg.superseded_by) ? null : pkg.superseded_by;
      t.like((await api.get(`/v1/packages/${pkg.id}`)).body, { ...pkg, superseded_by });
      t.like((await api.get(`/v1/packages/${pkg.id}/retention`)).body, retention);
      const events = (await api.get(`/v1/audit?package_id=${pkg.id}&limit=1000`)).body as { items: AuditEvent[] };
      const now = new Map(events.items.map((event) => [event.id, event]));
      for (const event of audit) t.like(now.get(event.id), event);
      t.true(audit.length > 0);
    }
    const found = (await api.get('/v1/packages?metadata.branch=main&producer=curl')).body as { items: Package[] };
    t.deepEqual(
      found.items.map(({ id }) => id),
      [packageOf(old, 'null curl').id],
    );
  });

  test(`${name}: each file of version 0.1.0 is read by its path, whole and in part`, async (t) => {
    const { api, old } = await open(t);
    const id = packageOf(old, 'build-2 kinds').id;
    for (const [path, { bytes }] of Object.entries(TREES.kinds)) {
      const url = `/v1/packages/${id}/files/${path.split('/').map(encodeURIComponent).join('/')}?redirect=false`;
      const whole = await api.call('HEAD', url);
      t.is(whole.headers.get('etag'), `"${sha256(bytes)}"`, path);
      if (bytes.length < 8) continue;
      const part = await api.call('GET', url, undefined, { range: 'bytes=3-7' });
      t.is(part.body, bytes.toString('utf8', 3, 8), path);
    }
  });

  test(`${name}: bytes that version 0.1.0 kept are not sent again`, async (t) => {
    const { cli, folder } = await open(t);
    const directory = await writeOldTree(join(folder, 'again'), { ...TREES.packs, ...TREES.kinds });
    const pushed = await cli('push', directory, '--producer', 'nightly');
    t.is(pushed.code, 0, pushed.stderr);
    t.like(pushed.json, { status: 'finalized', uploaded: { objects: 0, bytes: 0 } });
    await assertPulled(t, { cli, folder }, pushed.json.package_id, { ...TREES.packs, ...TREES.kinds });
  });

  for (const openUntil of [undefined, Date.now() + DAY]) {
    const when = openUntil === undefined ? 'whose uploads have expired' : 'whose uploads are still open';
    test(`${name}: a package that version 0.1.0 left unfinished, ${when}, is finished`, async (t) => {
      const { api, cli, folder, old } = await open(t, { openUntil });
      const { id } = packageOf(old, 'build-3 unfinished');
      const directory = await writeOldTree(join(folder, 'run'), TREES.unfinished);
      // Compressed, the half of a file that is there would not be a part of it.
      const asItIs = ['--compression', 'off'];
      const pushed = await cli(
        ...['push', directory, '--name', 'unfinished', '--producer', 'nightly', '--external-id', 'build-3', ...asItIs],
      );
      t.is(pushed.code, 0, pushed.stderr);
      t.like(pushed.json, { package_id: id, status: 'finalized' });
      // Beside the half of a file, there is one small file.
      const whole = openUntil === undefined ? OLD_LIMITS.part_size : 0;
      t.true(pushed.json.uploaded.bytes >= whole + LEFT_TO_SEND, pushed.stdout);
      t.true(pushed.json.uploaded.bytes < whole + LEFT_TO_SEND + 10_000, pushed.stdout);
      await assertPulled(t, { cli, folder }, id, TREES.unfinished);
      t.is((await api.get(`/v1/packages/${id}`)).body.status, 'finalized');
    });
  }

  test(`${name}: a revision that version 0.1.0 left open takes the external id over when it is finalized`, async (t) => {
    const { api, cli, folder, old } = await open(t);
    const second = packageOf(old, 'weekly week2').id;
    const third = packageOf(old, 'weekly week3').id;
    t.is((await cli('show', 'weekly')).json.id, second);
    const directory = await writeOldTree(join(folder, 'weekly'), TREES.week3);
    const fields = ['--producer', 'reports', '--external-id', 'weekly', '--retention-class', 'permanent-record'];
    const pushed = await cli('push', directory, ...fields, '--revision');
    t.is(pushed.code, 0, pushed.stderr);
    t.like(pushed.json, { package_id: third, status: 'finalized' });
    t.is((await api.get(`/v1/packages/${second}`)).body.superseded_by, third);
    await assertPulled(t, { cli, folder }, third, TREES.week3);
  });

  test(`${name}: packages that failed or were deleted in version 0.1.0 stay so, and their external ids are free`, async (t) => {
    const { api, cli, folder, old } = await open(t);
    const gone = packageOf(old, 'gone scratch').id;
    t.like(await api.get(`/v1/packages/${gone}/files/scratch.txt`), { status: 410, body: { code: 'package_deleted' } });
    const directory = await writeOldTree(join(folder, 'scratch'), TREES.scratch);
    for (const externalId of ['gone', 'again']) {
      const pushed = await cli('push', directory, '--producer', 'tests', '--external-id', externalId);
      t.is(pushed.code, 0, pushed.stderr);
      t.not(pushed.json.package_id, packageOf(old, `${externalId} scratch`).id);
      await assertPulled(t, { cli, folder }, pushed.json.package_id, TREES.scratch);
    }
  });

  test(`${name}: a hold of version 0.1.0 is released, and what it kept is extended`, async (t) => {
    const { cli, old } = await open(t);
    const { id } = packageOf(old, 'build-1 packs');
    const released = await cli('release', id, '--reason', 'claim settled');
    t.is(released.code, 0, released.stderr);
    t.is((await cli('extend', id, '--days', '1', '--reason', 'once more')).code, 0);
    const { json } = await cli('retention', id);
    t.like(json, { held: false, holds: [{ release_reason: 'claim settled' }] });
    const actions = json.events.map(({ action }: { action: string }) => action);
    t.deepEqual(actions, ['set', 'finalized', 'extended', 'held', 'released', 'extended']);
  });
}

export async function assertPulled(
  t: ExecutionContext,
  { cli, folder }: Pick<Opened, 'cli' | 'folder'>,
  id: string,
  tree: OldTree,
): Promise<void> {
  const copy = join(folder, `pulled ${id}`);
  const pulled = await cli('pull', id, copy);
  t.is(pulled.code, 0, pulled.stdout + pulled.stderr);
  const entries = Object.entries(tree);
  const digests = entries.map(([path, { bytes }]) => [path, sha256(bytes).slice('sha256:'.length)]);
  t.deepEqual(await readTree(copy), Object.fromEntries(digests));
  for (const [path, { executable }] of entries) {
    const { mode } = await stat(join(copy, path));
    t.is((mode & 0o100) !== 0, executable === true, path);
  }
}

/** A file as a manifest tells of it: without what is not so. */
function inManifest({ path, digest, size, media_type, mtime, executable }: File): object {
  return {
    path,
    sha256: digest.slice('sha256:'.length),
    size,
    media_type,
    ...(mtime === null ? {} : { mtime }),
    ...(executable ? { executable } : {}),
  };
}

/** @param name external id and tree */
function packageOf(old: Map<string, OldPackage>, name: string): OldPackage['package'] {
  const found = old.get(name);
  if (found === undefined) throw new Error(`version 0.1.0 had no ${name}, but ${[...old.keys()].join(', ')}`);
  return found.package;
}

function isOpen(old: Map<string, OldPackage>, id: string | null): boolean {
  return [...old.values()].some(({ package: pkg }) => pkg.id === id && /created|uploading/.test(pkg.status));
}
