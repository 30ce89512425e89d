import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test from 'ava';
import { PREFIX, VARIABLES } from '../../src/config.ts';
import { required } from '../support/required.ts';
import { SYSTEMD } from '../support/systemd.ts';
import { tempFolder } from '../support/temp.ts';

/** deploy/artifact-store.service, as systemd itself judges it. */
const ROOT = resolve(import.meta.dirname, '../..');
const UNIT = 'deploy/artifact-store.service';
/** Of 100: what the documentation says, and no more. */
const EXPOSURE = 12;

const read = (name: string): Promise<string> => readFile(join(ROOT, name), 'utf8');
/** What a key is set to, in order; also in lines that are commented out, with `#` before the key. */
const valuesOf = (unit: string, key: string): string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value as string);

const analyze = await required('The systemd unit', SYSTEMD);
if (analyze !== null) {
  test('systemd finds nothing wrong with the unit', async (t) => {
    const unit = join(await tempFolder(t), 'artifact-store.service');
    const text = await read(UNIT);
    // What it starts is installed nowhere here.
    await writeFile(unit, text.replace(/^ExecStart=.*$/m, `ExecStart=${process.execPath} serve`));
    t.is(await analyze('verify', '--man=no', unit), '');
    await writeFile(unit, text.replace('ProtectSystem=strict', 'ProtectSystem=somewhat'));
    t.regex(await analyze('verify', '--man=no', unit).catch(({ stderr }) => stderr), /Failed to parse protect system/);
  });

  test('the exposure is what docs/install.md says', async (t) => {
    const told = await analyze('security', '--offline=true', `--threshold=${EXPOSURE}`, join(ROOT, UNIT));
    t.true(told.includes(`Overall exposure level for artifact-store.service: ${EXPOSURE / 10} `), told.slice(-200));
    t.true((await read('docs/install.md')).includes(`exposure is ${EXPOSURE / 10} `));
  });
}

test('the unit names variables that exist, and every secret may come as a credential', async (t) => {
  const unit = await read(UNIT);
  const set = [...valuesOf(unit, 'Environment'), ...valuesOf(unit, '#Environment')];
  const names = set.map((line) => line.split('=')[0] as string).filter((name) => name.startsWith(PREFIX));
  for (const name of names) t.true(name.slice(PREFIX.length) in VARIABLES, name);
  const secrets = Object.keys(VARIABLES).filter((name) => name.endsWith('_FILE'));
  for (const name of [...secrets, 'ATTESTATION_KEY']) t.true(names.includes(PREFIX + name), name);
  const credentials = [...valuesOf(unit, 'LoadCredential'), ...valuesOf(unit, '#LoadCredential')];
  t.deepEqual(
    set.flatMap((line) => /%d\/(.*)$/.exec(line)?.[1] ?? []),
    credentials.map((line) => line.split(':')[0]),
  );
});

test('the user of the unit is the one that sysusers makes', async (t) => {
  const [user] = valuesOf(await read(UNIT), 'User');
  t.regex(await read('deploy/artifact-store.sysusers.conf'), new RegExp(`^u ${user} - `, 'm'));
});
