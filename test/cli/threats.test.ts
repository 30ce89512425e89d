import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { envelopeBytes } from '../../src/core/dsse.ts';
import { readSigningKey } from '../../src/core/signing-key.ts';
import { signStatement } from '../../src/core/statement.ts';
import { apiOf } from '../support/api.ts';
import { type Attested, preserved } from '../support/attested.ts';
import { addEvents } from '../support/audit-rows.ts';
import { runCli } from '../support/cli-child.ts';
import { withRegistry } from '../support/registry-content.ts';
import { startTestService, type TestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

/** What docs/proofs.md says of each of them. */

const FILES = { 'result.txt': 'FAILED', 'other.txt': 'PASSED' };

function verify({ copy, attestation, key }: Attested, ...more: string[]) {
  return runCli(['verify', '--offline', copy, '--attestation', attestation, '--key', key, '--json', ...more]);
}

/** The bytes of one path are those of the other from now on. */
async function swapContents(db: Knex, packageId: string): Promise<void> {
  const { no } = await db('packages').where({ id: packageId }).first('no');
  const files: Array<{ path: string; blob_no: number }> = await db('package_files').where({ package_no: no }).select();
  const [first, second] = files;
  const point = (file: typeof first, to: typeof first) =>
    db('package_files').where({ package_no: no, path: file?.path }).update({ blob_no: to?.blob_no });
  await point(first, second);
  await point(second, first);
}

test('a stolen database: a path that gets other bytes is refused by a pull, and a copy of them is not what was attested', async (t) => {
  const service = await place(t);
  const there = await preserved(t, service.url, FILES);
  const { id } = there.statement.predicate.package;
  await withRegistry(service.env, (db) => swapContents(db, id));
  const again = join(there.folder, 'again');
  const pulled = await runCli(['pull', id, again, '--url', service.url, '--json']);
  t.is(pulled.code, 5, pulled.stdout);

  t.is((await verify(there)).code, 0, 'the copy of before is right');
  const swapped = await writeTree(join(there.folder, 'swapped'), {
    'result.txt': FILES['other.txt'],
    'other.txt': FILES['result.txt'],
  });
  const wrong = await verify({ ...there, copy: swapped });
  t.is(wrong.code, 5);
  t.like(wrong.json.error, { code: 'directory_differs', path: 'other.txt', how: 'changed' });
});

test('a stolen signing key: what it signs looks right, and is not what the log proves of a checkpoint that was kept', async (t) => {
  const service = await place(t);
  const there = await preserved(t, service.url, FILES);
  const proof = await readFile(there.proof, 'utf8');
  const kept = join(there.folder, 'kept');
  await writeFile(kept, proof.slice(proof.indexOf('\n\n') + 2));

  const stolen = readSigningKey(await readFile(join(service.dataDir, 'attestation.pem'), 'utf8'));
  const digest = { sha256: '0'.repeat(64) };
  const { statement } = there;
  const subject = statement.subject.map((each) => ({ ...each, digest }));
  const manifest = { ...statement.predicate.manifest, sha256: '1'.repeat(64) };
  const forged = { ...statement, subject, predicate: { ...statement.predicate, manifest } };
  await writeFile(there.attestation, envelopeBytes(signStatement(forged, stolen)));
  const [said] = [await verify(there)];
  t.is(said.json.error.code, 'directory_differs', 'its signature is good: only the files are others');
  const logged = await verify(there, '--proof', there.proof, '--checkpoint', kept);
  t.is(logged.code, 5);
  t.is(logged.json.error.code, 'integrity_failure');
});

test('an operator who writes another history, log and signature included, is found by a checkpoint that somebody kept, and by nothing else', async (t) => {
  const service = await place(t);
  const api = apiOf(service.url);
  const folder = await tempFolder(t);
  const file = (name: string) => join(folder, name);
  const id = await api.preserve({ a: 'kept' });
  await api.post(`/v1/packages/${id}/holds`, { reason: 'asked for' });
  await addEvents(service.services, 20);
  const cli = (url: string, ...args: string[]) => runCli([...args, '--url', url, '--json']);
  await writeFile(file('store.pem'), (await runCli(['keys', 'export', '--url', service.url])).bytes);
  await writeFile(file('kept'), (await runCli(['audit', 'checkpoint', '--url', service.url])).bytes);
  await service.stop();

  await withRegistry(service.env, async (db) => {
    await db('audit_events').where({ action: 'hold.placed' }).update({ actor: 'somebody else' });
    await db('log_tiles').delete();
    await db('log_checkpoints').delete();
    await db('log_head').update({ size: 0, last_seq: 0 });
  });
  await rm(join(service.dataDir, 'blobs', 'log'), { recursive: true });
  const again = await startTestService({ dataDir: service.dataDir });
  t.teardown(() => again.dispose());
  const alone = await cli(again.url, 'audit', 'verify', '--key', file('store.pem'));
  t.is(alone.code, 0, 'nothing that the operator has tells of it');
  const against = await cli(again.url, 'audit', 'verify', '--checkpoint', file('kept'), '--key', file('store.pem'));
  t.is(against.code, 5);
  t.is((await cli(again.url, 'audit', 'checkpoint', '--since', file('kept'))).code, 5);
});

async function place(t: ExecutionContext): Promise<TestService> {
  const dataDir = await tempFolder(t);
  const service = await startTestService({ dataDir });
  t.teardown(() => service.dispose());
  return service;
}
