import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { parseEnvelope } from '../../src/core/dsse.ts';
import { readPublicKey } from '../../src/core/signing-key.ts';
import { openStatement } from '../../src/core/statement.ts';
import { apiOf } from '../support/api.ts';
import { runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';

async function place(t: ExecutionContext, env: Record<string, string> = {}) {
  const folder = await tempFolder(t);
  const service = await startTestService({ env });
  t.teardown(() => service.dispose());
  return {
    folder,
    api: apiOf(service.url),
    cli: (...args: string[]) => runCli([...args, '--url', service.url], { cwd: folder }),
  };
}

test('an exported key checks the attestation that a pull has saved; openssl reads it, and finds the same id', async (t) => {
  const { folder, api, cli } = await place(t);
  const id = await api.preserve({ a: 'kept' });
  const exported = await cli('keys', 'export');
  t.is(exported.code, 0, exported.stderr);
  const key = readPublicKey(exported.stdout);
  const pulled = await cli('pull', id, 'copy', '--attestation', 'copy.json');
  t.is(pulled.code, 0, pulled.stderr);
  t.regex(pulled.stdout, /Wrote the attestation to copy\.json\./);
  const { statement } = openStatement(parseEnvelope(await readFile(join(folder, 'copy.json'))), [key]);
  t.is(statement.predicate.package.id, id);
  await writeFile(join(folder, 'store.pem'), exported.stdout);
  const command = 'openssl pkey -pubin -in store.pem -outform DER | sha256sum';
  const { stdout } = await promisify(execFile)('bash', ['-c', command], { cwd: folder });
  t.is(stdout.slice(0, 64), key.id);
});

test('an attestation is never written over something else, and is there when it is pulled again', async (t) => {
  const { folder, api, cli } = await place(t);
  const id = await api.preserve({ a: 'kept' });
  await writeFile(join(folder, 'mine'), 'my own notes');
  const refused = await cli('pull', id, 'copy', '--attestation', 'mine', '--json');
  t.is(refused.code, 4);
  t.like(refused.json.error, { code: 'file_refused', path: 'mine' });
  t.is(await readFile(join(folder, 'mine'), 'utf8'), 'my own notes');
  await t.throwsAsync(readFile(join(folder, 'copy', 'a')), { code: 'ENOENT' }, 'nothing was pulled');
  for (let n = 0; n < 2; n += 1) t.is((await cli('pull', id, 'copy', '--attestation', 'new')).code, 0);
  const nowhere = await cli('pull', id, 'copy', '--attestation', 'no/such/folder', '--json');
  t.is(nowhere.code, 2);
  t.is(nowhere.json.error.message, 'The folder "no/such" does not exist.');
});

test('keys are listed and rotated; an old one is exported by how it begins', async (t) => {
  const { cli } = await place(t);
  const [{ id: old }] = (await cli('keys', 'ls', '--json')).json.items;
  const rotated = await cli('keys', 'rotate', '--json');
  t.is(rotated.code, 0, rotated.stderr);
  const listed = await cli('keys', 'ls');
  t.regex(listed.stdout, new RegExp(`^${old}  since .* retired .*\n${rotated.json.id}  since .*  signs\n$`));
  t.is(readPublicKey((await cli('keys', 'export')).stdout).id, rotated.json.id);
  t.is(readPublicKey((await cli('keys', 'export', old.slice(0, 12))).stdout).id, old);
  t.is((await cli('keys', 'export', 'zz')).code, 3);
  t.is((await cli('keys', 'export', '')).code, 2, 'more than one begins with nothing');
});

test('a configured key signs, as PEM or as the path of a file, and is not rotated here', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'key.pem');
  await promisify(execFile)('openssl', ['genpkey', '-algorithm', 'ed25519', '-out', file]);
  const pem = await readFile(file, 'utf8');
  const ids: string[] = [];
  for (const value of [file, pem]) {
    const { cli } = await place(t, { ARTIFACT_STORE_ATTESTATION_KEY: value });
    ids.push((await cli('keys', 'ls', '--json')).json.current);
    const refused = await cli('keys', 'rotate', '--json');
    t.is(refused.code, 4);
    t.is(refused.json.error.code, 'key_configured');
  }
  t.is(ids[0], ids[1]);
});

test('a key that cannot be used stops the start, with what makes one', async (t) => {
  const folder = await tempFolder(t);
  const file = join(folder, 'key.pem');
  await promisify(execFile)('openssl', ['genpkey', '-algorithm', 'x25519', '-out', file]);
  const start = (value: string) => startTestService({ env: { ARTIFACT_STORE_ATTESTATION_KEY: value } });
  await t.throwsAsync(start(file), {
    name: 'ConfigError',
    message: /key\.pem is a private key of the kind x25519, not Ed25519: `openssl genpkey/,
  });
  await t.throwsAsync(start('-----BEGIN nonsense'), {
    name: 'ConfigError',
    message: /^ARTIFACT_STORE_ATTESTATION_KEY is not a private key in PEM/,
  });
  await t.throwsAsync(start(join(folder, 'none')), { name: 'ConfigError', message: /none cannot be read \(ENOENT/ });
});
