import { execFile, spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { Package } from '../../src/api/types.ts';
import { connectSqlite } from '../../src/registry/connect.ts';
import { apiOf, sha256 } from './api.ts';
import { OLD_STORE, type OldStore } from './old-store.ts';
import { OLD_EXECUTABLE, OLD_TREES, type OldTree } from './old-trees.ts';
import { writeTree } from './tree.ts';

/**
 * Makes fixtures/store-0.1.0.json.gz by running version 0.1.0:
 * `git worktree add ../old 48a3d16 && (cd ../old && npm ci) && node test/support/record-old-store.ts ../old`
 */
const [checkout] = process.argv.slice(2);
if (checkout === undefined) throw new Error('Name the checkout of commit 48a3d16.');
const program = resolve(checkout, 'cli/bin.ts');
const dir = await mkdtemp(join(tmpdir(), 'artifact-store-old-'));
const data = join(dir, 'data');
const env = { ...process.env, XDG_CACHE_HOME: join(dir, 'cache') };
const service = spawn(process.execPath, [program, 'serve', '--json', '--data-dir', data, '--port', '0'], {
  env,
  stdio: ['ignore', 'pipe', 'ignore'],
});
try {
  const { value } = await createInterface({ input: service.stdout })[Symbol.asyncIterator]().next();
  const { url } = JSON.parse(value ?? '') as { url: string };
  const run = async (...args: string[]) => {
    const { stdout } = await promisify(execFile)(process.execPath, [program, ...args, '--json', '--url', url], { env });
    return JSON.parse(stdout);
  };
  const push = async (name: OldTree, ...args: string[]): Promise<string> => {
    const tree = await writeTree(join(dir, name), OLD_TREES[name]);
    if (OLD_EXECUTABLE in OLD_TREES[name]) await chmod(join(tree, OLD_EXECUTABLE), 0o755);
    return (await run('push', tree, '--producer', 'old', ...args)).package_id;
  };
  const metadata = join(dir, 'metadata.json');
  await writeFile(metadata, JSON.stringify({ branch: 'main', näme: [1, null, { deep: true }] }));
  const first = await push('first', '--external-id', 'chain', '--subject', 'a subject', '--metadata', metadata);
  const second = await push('second', '--retention-class', 'permanent-record');
  await run('hold', second, '--reason', 'a case', '--reference', 'CASE-1');
  const revised = await push('revised', '--external-id', 'chain', '--revision');
  const open = await push('open', '--external-id', 'open', '--no-finalize');
  const dropped = await push('dropped', '--no-finalize');
  await run('rm', dropped, '--reason', 'a mistake');
  const failed = (await apiOf(url).post('/v1/packages', { name: 'failed', producer: 'old' })).body.id;
  await apiOf(url).post(`/v1/packages/${failed}/fail`, { reason: 'it broke' });
  // As a push that was killed when it had planned.
  const partial = await apiOf(url).create({ name: 'partial', producer: 'old', external_id: 'partial' });
  const files = Object.entries(OLD_TREES.partial).map(([path, text]) => {
    return { path, digest: sha256(text), size: Buffer.byteLength(text) };
  });
  await apiOf(url).post(`/v1/packages/${partial}/files`, { files });
  const objects = files.map(({ digest, size }) => ({ digest, size }));
  await apiOf(url).post(`/v1/packages/${partial}/uploads`, { objects });
  const packages: Record<string, Package> = {};
  for (const [name, id] of Object.entries({ first, second, revised, open, partial, dropped, failed })) {
    packages[name] = (await apiOf(url).get(`/v1/packages/${id}`)).body;
  }
  const audit = (await apiOf(url).get('/v1/audit?limit=1000')).body.items;
  service.kill('SIGTERM');
  await new Promise((done) => service.once('close', done));
  const store = {
    packages,
    audit,
    tables: await tablesOf(join(data, 'registry.sqlite')),
    files: {} as OldStore['files'],
  };
  for (const entry of await readdir(data, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    // A signing key is secret, and made when there is none.
    if (!entry.isFile() || /sqlite|\.key$/.test(entry.name)) continue;
    store.files[relative(data, path)] = (await readFile(path)).toString('latin1');
  }
  await writeFile(OLD_STORE, gzipSync(JSON.stringify(store), { level: 9 }));
} finally {
  service.kill('SIGTERM');
  await rm(dir, { recursive: true, force: true });
}

async function tablesOf(file: string): Promise<Record<string, object[]>> {
  const db = connectSqlite(file);
  try {
    const names: string[] = await db('sqlite_master').where({ type: 'table' }).orderBy('rowid').pluck('name');
    const tables: Record<string, object[]> = {};
    for (const name of names.filter((table) => !/^(knex|sqlite)_/.test(table))) {
      const rows: Array<Record<string, unknown>> = await db(name);
      tables[name] = rows.map((row) =>
        Object.fromEntries(
          Object.entries(row).map(([column, value]) => [
            column,
            value instanceof Uint8Array ? { hex: Buffer.from(value).toString('hex') } : value,
          ]),
        ),
      );
    }
    return tables;
  } finally {
    await db.destroy();
  }
}
