import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { access, appendFile, copyFile, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { envelopeBytes, parseEnvelope } from '../../src/core/dsse.ts';
import { apiOf } from '../support/api.ts';
import { type Attested, attested, newKey, preserved, STRANGE_NAMES } from '../support/attested.ts';
import { type CliEnding, cliOf, runCli } from '../support/cli-child.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

const service = await startTestService();
test.after.always(() => service.dispose());

const FILES = { ...STRANGE_NAMES, 'large.bin': Buffer.alloc(20 * 1024 ** 2, 'large') };
const NOBODY_THERE = 'http://127.0.0.1:1';

/** With no service to ask, and no home for a cache. */
function verify({ folder, copy, attestation, key }: Attested, ...more: string[]): Promise<CliEnding> {
  const env = { ARTIFACT_STORE_URL: NOBODY_THERE, XDG_CACHE_HOME: join(folder, 'no-cache') };
  const args = ['verify', '--offline', copy, '--attestation', attestation, '--key', key, '--json', ...more];
  return runCli(args, { env, cwd: folder });
}

async function assertDiffers(t: ExecutionContext, there: Attested, expected: Record<string, unknown>): Promise<void> {
  const result = await verify(there);
  t.is(result.code, 5, result.stdout);
  t.like(result.json.error, { code: 'directory_differs', ...expected });
}

for (const subjects of ['files', 'manifest'] as const) {
  test(`a pulled directory is what was attested, whatever its files are called: ${subjects}`, async (t) => {
    const there = await attested(t, service.url, FILES, subjects);
    const more = subjects === 'manifest' ? ['--manifest', there.manifest] : [];
    const result = await verify(there, ...more);
    t.is(result.code, 0, result.stdout);
    t.like(result.json, {
      ok: true,
      package_id: there.statement.predicate.package.id,
      files: Object.keys(FILES).length,
      key_id: there.signer.publicKey.id,
      manifest_digest: `sha256:${there.statement.predicate.manifest.sha256}`,
    });
    await t.throwsAsync(access(join(there.folder, 'no-cache')), { code: 'ENOENT' });
    await t.throwsAsync(access(join(there.folder, 'data')), { code: 'ENOENT' });
    await appendFile(join(there.copy, 'back\\slash'), '!');
    const changed = await verify(there, ...more);
    t.is(changed.code, 5);
    t.like(changed.json.error, { path: 'back\\slash', how: 'changed' });
  });
}

test('what the service itself signed is checked, also when its key was rotated since', async (t) => {
  const there = await preserved(t, service.url, STRANGE_NAMES);
  const { folder, proof, statement } = there;
  const { id } = statement.predicate.package;
  const logged = await verify(there, '--proof', proof);
  t.like(
    logged.json,
    { ok: true, package_id: id, log: { origin: `artifact-store/${await storeId()}` } },
    logged.stdout,
  );
  t.is((await verify(there)).json.log, null);

  const cli = cliOf({ ARTIFACT_STORE_URL: service.url });
  t.is((await cli('keys', 'rotate')).code, 0);
  const fresh = join(folder, 'fresh.pem');
  await writeFile(fresh, (await cli('keys', 'export')).bytes);
  t.is((await verify({ ...there, key: fresh })).json.error.code, 'attestation_invalid');
  const both = await verify(there, '--key', fresh, '--proof', proof);
  t.is(both.code, 0, both.stdout);
});

async function storeId(): Promise<string> {
  return (await apiOf(service.url).get('/readyz')).body.store_id;
}

test('a proof of the log must hold, be of this finalization, and lead to the checkpoint that was kept', async (t) => {
  const own = await startTestService();
  t.teardown(() => own.dispose());
  const there = await preserved(t, own.url, { a: 'A' });
  const { folder, proof } = there;
  const kept = join(folder, 'kept');
  const text = await readFile(proof, 'utf8');
  const note = text.slice(text.indexOf('\n\n') + 2);
  await writeFile(kept, note);
  const held = await verify(there, '--proof', proof, '--checkpoint', kept);
  t.is(held.code, 0, held.stdout);
  t.is(held.json.log.size, Number(note.split('\n')[1]));

  const other = await preserved(t, own.url, { a: 'B' });
  const wrong = join(folder, 'wrong');
  const refused = async (proofText: string, message: RegExp, checkpoint = note) => {
    await writeFile(wrong, proofText);
    await writeFile(kept, checkpoint);
    const result = await verify(there, '--proof', wrong, '--checkpoint', kept);
    t.is(result.code, 5, result.stdout);
    t.is(result.json.error.code, 'integrity_failure');
    t.regex(result.json.error.message, message);
  };
  const [, entry = ''] = /^extra (.*)$/m.exec(text) ?? [];
  const edited = Buffer.from(Buffer.from(entry, 'base64').toString().replace('"actor":"', '"actor":"x')).toString(
    'base64',
  );
  await refused(text.replace(entry, edited), /leads to another root/);
  await refused(text.replace(/^index .*$/m, 'index 0'), /leads to another root/);
  await refused('no proof', /is not a proof/);
  await refused(text, /is not a signed note/, 'no checkpoint\n');
  const later = await readFile(other.proof, 'utf8');
  const laterNote = later.slice(later.indexOf('\n\n') + 2);
  await refused(later, /proves another event/, laterNote);
  await refused(text, /leads to a checkpoint of .* entries, and .* is a checkpoint of/, laterNote);
  const [foreign, foreignKey] = [await preserved(t, service.url, { a: 'C' }), join(folder, 'foreign.pem')];
  await writeFile(foreignKey, await readFile(foreign.key));
  const result = await verify(there, '--key', foreignKey, '--proof', foreign.proof);
  t.is(result.code, 5);
  t.regex(result.json.error.message, /is of the log ".*", and the package is in artifact-store\/sto_/);
  t.regex((await verify(there, '--proof', foreign.proof)).json.error.message, /is not signed by/);
});

test('what is changed, missing or too many is named, the first in the order of paths', async (t) => {
  const there = await attested(t, service.url, { a: 'A', 'b/c': 'C', 'b/d': '', e: 'E' });
  const counts = (changed: number, removed: number, added: number) => ({ changed, removed, added });
  await writeFile(join(there.copy, 'b/c'), 'X');
  await assertDiffers(t, there, { path: 'b/c', how: 'changed', counts: counts(1, 0, 0) });
  await rm(join(there.copy, 'a'));
  await assertDiffers(t, there, { path: 'a', how: 'removed', counts: counts(1, 1, 0) });
  await writeTree(there.copy, { '!first': '', 'b/d2': 'D' });
  await writeFile(join(there.copy, 'b/d'), 'no longer empty');
  await assertDiffers(t, there, {
    path: '!first',
    how: 'added',
    counts: counts(2, 1, 2),
    changed: ['b/c', 'b/d'],
    removed: ['a'],
    added: ['!first', 'b/d2'],
  });
  const { folder, copy, attestation, key } = there;
  const said = await runCli(['verify', '--offline', copy, '--attestation', attestation, '--key', key], { cwd: folder });
  t.is(said.code, 5);
  t.regex(
    said.stderr,
    /is not what was attested: "!first" is not in the package\.\n.*2 with other bytes.*\n {2}~ "b\/c"\n/,
  );
});

test('a directory in the place of another, and no directory at all', async (t) => {
  const there = await attested(t, service.url, { a: 'A', b: 'B' });
  const other = await tempFolder(t);
  await assertDiffers(t, { ...there, copy: other }, { path: 'a', how: 'removed', removed: ['a', 'b'], added: [] });
  const absent = await verify({ ...there, copy: join(other, 'absent') });
  t.is(absent.code, 2);
  t.regex(absent.json.error.message, /absent" does not exist/);
});

test('symlinks and fifos are too many, and none is followed or opened', async (t) => {
  const files = { 'folder/a': 'A', b: 'B' };
  const link = await attested(t, service.url, files);
  await rename(join(link.copy, 'b'), join(link.folder, 'outside'));
  await symlink(join(link.folder, 'outside'), join(link.copy, 'b'));
  await assertDiffers(t, link, { path: 'b', how: 'added' });

  const folder = await attested(t, service.url, files);
  await rename(join(folder.copy, 'folder'), join(folder.folder, 'moved'));
  await symlink('../moved', join(folder.copy, 'folder'));
  await assertDiffers(t, folder, { path: 'folder', how: 'added' });

  const fifo = await attested(t, service.url, files);
  await rm(join(fifo.copy, 'b'));
  execFileSync('mkfifo', [join(fifo.copy, 'b')]);
  await assertDiffers(t, fifo, { path: 'b', how: 'added' });

  const name = await attested(t, service.url, files);
  await writeFile(Buffer.concat([Buffer.from(`${name.copy}/`), Buffer.from([0xff])]), 'no UTF-8');
  await assertDiffers(t, name, { how: 'added' });
});

test('a file that is too many cannot leave itself out', async (t) => {
  const there = await attested(t, service.url, { a: 'A', '.artifact-store-ignore': 'b\n' });
  t.is((await verify(there)).code, 0, 'an ignore file that belongs to the package');
  await writeTree(there.copy, { b: 'B' });
  await assertDiffers(t, there, { path: 'b', how: 'added' });
  const left = await attested(t, service.url, { a: 'A' });
  await writeTree(left.copy, { '.artifact-store-pull-pkg_1-x/y.part': 'half' });
  const result = await verify(left);
  t.like(result.json.error, { code: 'directory_differs', path: '.artifact-store-pull-pkg_1-x/y.part' });
  t.regex(result.json.error.next, /A pull into this directory was cut off/);
});

test('only what a given key has signed counts', async (t) => {
  const there = await attested(t, service.url, { a: 'A' });
  const other = join(there.folder, 'other.pem');
  await writeFile(other, newKey().publicKey.pem);
  t.is((await verify({ ...there, key: other }, '--key', there.key)).code, 0, 'one of several keys');
  const refused = await verify({ ...there, key: other });
  t.is(refused.code, 5);
  t.like(refused.json.error, { code: 'attestation_invalid', attestation: there.attestation });
  t.regex(refused.json.error.message, /is not signed by/);

  const envelope = parseEnvelope(await readFile(there.attestation));
  const forged = { ...there.statement, subject: [{ name: 'a', digest: { sha256: 'f'.repeat(64) } }] };
  const payload = Buffer.from(JSON.stringify(forged)).toString('base64');
  for (const bytes of [
    envelopeBytes({ ...envelope, payload }),
    envelopeBytes({ ...envelope, payloadType: 'text/plain\nartifact-store: forged \u001b[31m' }),
    envelopeBytes({ ...envelope, signatures: [{ keyid: '\nforged', sig: Buffer.alloc(64).toString('base64') }] }),
    Buffer.from('no JSON'),
    Buffer.alloc(0),
  ]) {
    await writeFile(there.attestation, bytes);
    const result = await verify(there);
    t.is(result.code, 5, bytes.toString());
    t.is(result.json.error.code, 'attestation_invalid');
    t.notRegex(result.json.error.message, /\n/);
  }
});

test('what was signed, and is no list of files, is refused', async (t) => {
  const there = await attested(t, service.url, { a: 'A' });
  const { statement } = there;
  const digest = { sha256: statement.subject[0]?.digest.sha256 as string };
  const { predicate } = statement;
  for (const [subject, message] of [
    [[{ name: '../copy/a', digest }], /names "\.\.\/copy\/a", which has a segment "\.\."/],
    [[{ name: '/etc/passwd', digest }], /is absolute/],
    [[{ name: 'a\nb', digest }], /control character/],
    [
      [
        { name: 'a', digest },
        { name: 'a', digest },
      ],
      /names "a" twice/,
    ],
    [[], /names 0 files and says that there are 1/],
  ] as const) {
    await there.sign({ ...statement, subject: [...subject] });
    const result = await verify(there);
    t.is(result.code, 5, result.stdout);
    t.is(result.json.error.code, 'attestation_invalid');
    t.regex(result.json.error.message, message);
  }
  await there.sign({ ...statement, predicate: { ...predicate, subjects: 'manifest' } });
  t.regex((await verify(there, '--manifest', there.manifest)).json.error.message, /another subject than its manifest/);
  await there.sign({ ...statement, subject: [...statement.subject].reverse() });
  t.is((await verify(there)).code, 0, 'in any order');
});

test('a manifest is needed where the attestation names it alone, and must be that one', async (t) => {
  const there = await attested(t, service.url, { a: 'A', b: 'B' }, 'manifest');
  const missing = await verify(there);
  t.is(missing.code, 2);
  t.regex(missing.json.error.message, /add --manifest FILE/);
  const other = join(there.folder, 'other.json');
  await writeFile(other, (await readFile(there.manifest, 'utf8')).replace('"size":1', '"size":2'));
  const refused = await verify(there, '--manifest', other);
  t.is(refused.code, 5);
  t.like(refused.json.error, { code: 'digest_mismatch', manifest: other });

  const named = await attested(t, service.url, { a: 'A' });
  t.is((await verify(named, '--manifest', named.manifest)).code, 0, 'checked where it is not needed');
  t.is((await verify(named, '--manifest', other)).json.error.code, 'digest_mismatch');
});

test('wrong usage names the option and the file', async (t) => {
  const there = await attested(t, service.url, { a: 'A' });
  const { folder, copy, attestation, key, manifest } = there;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
  await writeFile(join(folder, 'rsa.pem'), rsa.export({ type: 'spki', format: 'pem' }));
  await copyFile(attestation, join(folder, 'no-key.pem'));
  const offline = ['--offline', copy, '--attestation', attestation];
  for (const [args, message] of [
    [[...offline, '--key', 'rsa.pem'], /--key: "rsa\.pem" is a public key of the kind rsa, not Ed25519/],
    [[...offline, '--key', 'no-key.pem'], /--key: "no-key\.pem" is not a public key in PEM/],
    [[...offline, '--key', 'absent.pem'], /--key: "absent\.pem" does not exist/],
    [[...offline, '--key', '.'], /--key: "\." cannot be read/],
    [['--offline', copy, '--attestation', 'absent', '--key', key], /--attestation: "absent" does not exist/],
    [[...offline, '--key', key, '--manifest', 'absent'], /--manifest: "absent" does not exist/],
    [offline, /needs --attestation FILE and --key FILE/],
    [['--offline', copy, '--key', key], /needs --attestation FILE and --key FILE/],
    [['PACKAGE', ...offline, '--key', key], /takes no PACKAGE/],
    [[...offline, '--key', key, '--against', copy], /does not go with --against/],
    [[...offline, '--key', key, '--exclude', '*'], /does not go with --exclude/],
    [[...offline, '--key', key, '--url', NOBODY_THERE], /does not go with --url/],
    [[...offline, '--key', key, '--local'], /does not go with --local/],
    [['PACKAGE', '--attestation', attestation], /--attestation is for .* add --offline DIR/],
    [['PACKAGE', '--key', key], /--key is for .* add --offline DIR/],
    [['PACKAGE', '--manifest', manifest], /--manifest is for .* add --offline DIR/],
    [['PACKAGE', '--proof', manifest], /--proof is for .* add --offline DIR/],
    [[...offline, '--key', key, '--proof', 'absent'], /--proof: "absent" does not exist/],
    [[...offline, '--key', key, '--checkpoint', manifest], /--checkpoint needs --proof FILE/],
    [[], /Missing required argument 'PACKAGE'/],
  ] as Array<[string[], RegExp]>) {
    const result = await runCli(['verify', ...args], { cwd: folder });
    t.is(result.code, 2, `${args.join(' ')}: ${result.stderr}`);
    t.regex(result.stderr, message);
  }
});
