import { stat } from 'node:fs/promises';
import { type Config, PREFIX } from '../config.ts';
import { configuredClasses } from '../configured-classes.ts';
import { readIdentities } from '../configured-identities.ts';
import { configuredKey } from '../configured-keys.ts';
import { configuredLimits } from '../configured-limits.ts';
import { secretFiles } from '../secret-files.ts';
import { type Check, failure, messageOf, note, ok, warning } from './check.ts';

/** The files that the settings name: whether each says what it should, and who else may read those with secrets. */
export async function settingsChecks(config: Config, env: Record<string, string | undefined>): Promise<Check[]> {
  const files = [
    configuredClasses(config),
    configuredLimits(config),
    ...(config.identities === null ? [] : [readIdentities(config.identities.file)]),
    ...(config.attestationKey === null ? [] : [configuredKey(config.attestationKey)]),
  ];
  const refused = (await Promise.allSettled(files)).filter((result) => result.status === 'rejected');
  return [
    ...(refused.length === 0
      ? [ok('settings', 'The settings are valid, and so are the files that they name.')]
      : refused.map(({ reason }) =>
          failure('settings', messageOf(reason), 'Correct it: the service does not start with it.'),
        )),
    ...(await secretModes(config, env)),
    ...keys(config),
  ];
}

async function secretModes({ attestationKey }: Config, env: Record<string, string | undefined>): Promise<Check[]> {
  const files = secretFiles(env, PREFIX);
  if (attestationKey !== null && !attestationKey.startsWith('-----BEGIN ')) {
    files.set(`${PREFIX}ATTESTATION_KEY`, attestationKey);
  }
  const checks: Check[] = [];
  for (const [variable, file] of files) {
    const mode = await stat(file).then(
      (entry) => entry.mode & 0o777,
      () => 0,
    );
    // A group of its own may read it: so systemd and Kubernetes give a service its files.
    if ((mode & 0o027) === 0) continue;
    const says = `${file}, which ${variable} needs, can be read or changed by others (${mode.toString(8)}).`;
    checks.push(warning('secret_modes', says, `chmod 600 ${file}, and chown it to the service's user.`));
  }
  if (checks.length === 0 && files.size > 0)
    checks.push(ok('secret_modes', 'No others may read the files with secrets.'));
  return checks;
}

/** What each replica would have of its own, though all must have the same. */
function keys({ databaseUrl, s3, signingKey, attestationKey }: Config): Check[] {
  if (databaseUrl === null || s3 === null) return [];
  const own = [
    ...(signingKey === null ? ['ARTIFACT_STORE_SIGNING_KEY'] : []),
    ...(attestationKey === null ? ['ARTIFACT_STORE_ATTESTATION_KEY'] : []),
  ];
  if (own.length === 0)
    return [ok('keys', 'The keys that sign are those of the settings: every replica has the same.')];
  const says = `${own.join(' and ')} ${own.length === 1 ? 'is' : 'are'} not set: each replica would make its own.`;
  return [note('keys', says, 'Set them before a second replica starts: docs/replicas.md.')];
}
