import { execFile } from 'node:child_process';
import { appendFile, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { envelopeBytes, parseEnvelope } from '../../src/core/dsse.ts';
import { type Attested, attested, newKey, preserved, STRANGE_NAMES } from '../support/attested.ts';
import { HAND_TOOLS } from '../support/hand-tools.ts';
import { processEnv } from '../support/process-env.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';
import { writeTree } from '../support/tree.ts';

const PAGE = resolve(import.meta.dirname, '../../docs/verify-by-hand.md');

/** The page's commands, one after the other, as they stand. */
async function commands(): Promise<string> {
  const page = await readFile(PAGE, 'utf8');
  return [...page.matchAll(/^```bash\n(.*?)^```$/gms)].map(([, block]) => block).join('');
}

interface Ending {
  code: number;
  stdout: string;
  stderr: string;
}

/** As the page says: a script, which the first failure ends. */
async function check({ folder }: Attested): Promise<Ending> {
  const script = join(folder, 'check.sh');
  await writeFile(script, await commands());
  const options = { cwd: folder, env: processEnv({ TMPDIR: folder }) };
  return new Promise((done) => {
    execFile('bash', ['-euo', 'pipefail', script], options, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** What the commands say of a package to which this was done. */
async function said(t: ExecutionContext, there: Attested, what: string, expected: RegExp): Promise<void> {
  const { code, stdout, stderr } = await check(there);
  t.not(code, 0, what);
  t.regex(stdout + stderr, expected, what);
  t.notRegex(stdout, /as they were attested/, what);
}

if (await required('Verifying by hand', HAND_TOOLS)) {
  const service = await startTestService();
  test.after.always(() => service.dispose());

  test('the commands of the page find a package as it was attested', async (t) => {
    for (const subjects of ['files', 'manifest'] as const) {
      const there = await attested(t, service.url, STRANGE_NAMES, subjects);
      const { code, stdout, stderr } = await check(there);
      t.is(code, 0, `${subjects}: ${stdout}${stderr}`);
      t.regex(stdout, /Signature Verified Successfully/);
      t.true(
        stdout.endsWith(`copy has the files of ${there.statement.predicate.package.id}, as they were attested.\n`),
      );
    }
  });

  test('and so do they what the service itself signed, and the proof of its log', async (t) => {
    // Of trees of several sizes, at several places.
    for (const content of ['1', '2', '3']) {
      const there = await preserved(t, service.url, { ...STRANGE_NAMES, content });
      const { code, stdout, stderr } = await check(there);
      t.is(code, 0, stdout + stderr);
      t.regex(stdout, /^The log artifact-store\/sto_\w+ has its finalization\.$/m);
    }
    const there = await preserved(t, service.url, { a: 'A' });
    const text = await readFile(there.proof, 'utf8');
    const other = await preserved(t, service.url, { b: 'B' });
    const [, entry = ''] = /^extra (.*)$/m.exec(text) ?? [];
    const edited = Buffer.from(Buffer.from(entry, 'base64').toString().replace('"actor":"', '"actor":"x'));
    const [, size = ''] = /\n\n[^\n]+\n(\d+)\n/.exec(text) ?? [];
    for (const [what, wrong] of [
      ['another entry', text.replace(entry, edited.toString('base64'))],
      ['another place', text.replace(/^index .*$/m, 'index 0')],
      ['a place behind the end', text.replace(/^index .*$/m, `index ${size}`)],
      ['another event', await readFile(other.proof, 'utf8')],
      ['another checkpoint', text.replace(`\n${size}\n`, `\n${Number(size) + 1}\n`)],
    ] as const) {
      await writeFile(there.proof, wrong);
      const { code, stdout } = await check(there);
      t.not(code, 0, what);
      t.notRegex(stdout, /has its finalization/, what);
    }
    await writeFile(there.proof, text);
    t.is((await check(there)).code, 0);
  });

  test('and every change of it', async (t) => {
    for (const subjects of ['files', 'manifest'] as const) {
      const fresh = () => attested(t, service.url, STRANGE_NAMES, subjects);
      const changed = await fresh();
      await appendFile(join(changed.copy, 'back\\slash'), '!');
      await said(t, changed, 'a changed file', /back\\+slash: FAILED/);
      const missing = await fresh();
      await rm(join(missing.copy, '-'));
      await said(t, missing, 'a missing file', /^< -$/m);
      const extra = await fresh();
      await writeTree(extra.copy, { 'folder/extra': '' });
      await said(t, extra, 'a file too many', /^> folder\/extra$/m);
      const lines = await fresh();
      await writeTree(lines.copy, { 'plain\nfolder/.hidden': 'a name that looks like two' });
      await said(t, lines, 'a name of two lines', /^> /m);
      const link = await fresh();
      await rm(join(link.copy, 'plain'));
      await symlink('../source/plain', join(link.copy, 'plain'));
      t.not((await check(link)).code, 0, 'a symlink to the same bytes');
    }
  });

  test('and every change of what was signed', async (t) => {
    const there = await attested(t, service.url, STRANGE_NAMES);
    const signed = await readFile(there.attestation);
    const envelope = parseEnvelope(signed);
    const payload = Buffer.from(envelope.payload, 'base64');
    payload[payload.length >> 1] = (payload[payload.length >> 1] as number) ^ 1;
    await writeFile(there.attestation, envelopeBytes({ ...envelope, payload: payload.toString('base64') }));
    await said(t, there, 'a changed payload', /Signature Verification Failure/);
    await writeFile(there.attestation, envelopeBytes({ ...envelope, payloadType: 'application/json' }));
    t.not((await check(there)).code, 0, 'another type');
    await writeFile(there.attestation, envelopeBytes({ ...envelope, signatures: [{ keyid: 'another', sig: '' }] }));
    t.not((await check(there)).code, 0, 'no signature of the key');
    await writeFile(there.attestation, signed);
    t.is((await check(there)).code, 0);
    await writeFile(there.key, newKey().publicKey.pem);
    t.not((await check(there)).code, 0, 'another key');
  });

  test('and another manifest', async (t) => {
    const there = await attested(t, service.url, { a: 'A' }, 'manifest');
    await writeFile(there.manifest, `${await readFile(there.manifest, 'utf8')} `);
    t.not((await check(there)).code, 0);
  });
}
