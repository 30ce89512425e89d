import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { assertPulled, oldStoreSuite } from '../suites/version-0.1.0.ts';
import { runCli } from '../support/cli-child.ts';
import { tempFolder } from '../support/temp.ts';
import {
  migrationsOf,
  oldAnswers,
  REGISTRY_FILE,
  readRows,
  unpackDataFolder,
} from '../support/version-0.1.0/fixture.ts';
import { TREES } from '../support/version-0.1.0/trees.ts';

oldStoreSuite(test, {
  name: 'SQLite and the folder',
  layOut: async (t, options) => ({ dataDir: await unpackDataFolder(await tempFolder(t), options) }),
});

test('the fixture is what version 0.1.0 wrote: migration 0001 alone, its own layout, plain packs', async (t) => {
  const dir = await unpackDataFolder(await tempFolder(t));
  t.deepEqual((await readdir(dir)).sort(), ['blobs', 'format.json', 'lock.sqlite', REGISTRY_FILE, 'signing.key']);
  t.deepEqual(migrationsOf(join(dir, REGISTRY_FILE)), ['0001_registry']);
  const rows = new Map(readRows(join(dir, REGISTRY_FILE)).map(({ table, rows }) => [table, rows]));
  const kinds = rows.get('objects')?.map(({ kind }) => kind);
  for (const kind of ['blob', 'pack', 'manifest']) t.true(kinds?.includes(kind), kind);
  for (const { key } of rows.get('objects')?.filter(({ kind }) => kind === 'pack') ?? []) {
    const pack = await readFile(join(dir, 'blobs', String(key)));
    t.is(pack.toString('latin1', 257, 262), 'ustar', String(key));
  }
  const states = new Set(rows.get('uploads')?.map(({ state }) => state));
  t.deepEqual([...states].sort(), ['aborted', 'committed', 'failed', 'open']);
});

test('a data folder of version 0.1.0 is migrated by itself, and pulled from without a service', async (t) => {
  const folder = await tempFolder(t);
  const dataDir = await unpackDataFolder(await tempFolder(t));
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli([...args, '--data-dir', dataDir, '--json'], { env, cwd: folder });
  const migrated = await cli('migrate');
  t.is(migrated.code, 0, migrated.stderr);
  t.true(migrated.json.applied.length > 0);
  t.false(migrated.json.applied.includes('0001_registry'));
  const { packages } = await oldAnswers();
  const pulled = packages.filter(({ tree }) => tree === 'packs' || tree === 'kinds');
  t.is(pulled.length, 2);
  for (const { package: pkg, tree } of pulled)
    await assertPulled(t, { cli: (...args) => cli(...args, '--local'), folder }, pkg.id, TREES[tree]);
});

test('the folder of version 0.1.0 alone, which has no decisions, fills a registry of this version', async (t) => {
  const folder = await tempFolder(t);
  const dataDir = await unpackDataFolder(await tempFolder(t));
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  const cli = (...args: string[]) => runCli([...args, '--data-dir', dataDir, '--json'], { env, cwd: folder });
  await rm(join(dataDir, REGISTRY_FILE));
  const rebuilt = await cli('rebuild', '--from-storage');
  t.is(rebuilt.code, 0, rebuilt.stdout + rebuilt.stderr);
  const { packages } = await oldAnswers();
  const finalized = packages.filter(({ package: pkg }) => pkg.status === 'finalized');
  t.true(finalized.length > 0);
  for (const { package: pkg } of finalized) {
    const { json } = await cli('show', pkg.id, '--local');
    const { status, external_id, manifest_digest } = pkg;
    t.like(json, { status, external_id, manifest_digest });
    t.is((await cli('verify', pkg.id, '--local')).code, 0, pkg.id);
  }
});
