import type { SecretPlace } from '../../../src/core/secret-record.ts';
import { CliError, EXIT, usageError } from '../../errors.ts';
import { countOf, formatCount } from '../../format.ts';
import { BASELINE_FILE, Baseline } from '../secrets/baseline.ts';
import { collectSecrets, type SecretFindings } from '../secrets/collect-secrets.ts';
import type { FileList } from '../tree/file-list.ts';
import { readListFile } from '../tree/list-file.ts';

/** What a push does about secrets in its files. */
export type SecretsPolicy = 'refuse' | 'warn' | 'ignore';

const SHOWN = 20;
export const BASELINE_MAX_BYTES = 8 * 1024 ** 2;

/** @throws CliError wrong_usage, file_unreadable, file_refused */
export function readBaseline(directory: string): Baseline {
  const text = readListFile(directory, BASELINE_FILE, BASELINE_MAX_BYTES);
  const baseline = Baseline.parse(text);
  if (typeof baseline !== 'number') return baseline;
  throw usageError(
    `${BASELINE_FILE}, line ${baseline}, does not accept a secret: it must be sha256:DIGEST KIND GLOB.`,
    'Correct the line, or have it written with --secrets-baseline.',
  );
}

/** Of a directory all of whose files were looked through. */
export function secretsOf(files: FileList, baseline: Baseline): SecretFindings {
  return collectSecrets(withSecrets(files), baseline);
}

export function* withSecrets(files: FileList) {
  for (let index = 0; index < files.length; index += 1) {
    const secrets = files.secrets(index);
    if (secrets === null) throw new Error(`${files.path(index)} was not looked through for secrets`);
    if (secrets.length > 0) yield { path: files.path(index), secrets };
  }
}

/** Lines for people about what no baseline accepts; none when there is nothing. */
export function secretWarnings({ count, accepted, open }: SecretFindings): string[] {
  const unknown = count - accepted;
  if (unknown === 0) return [];
  const more = unknown - Math.min(open.length, SHOWN);
  return [
    ...open.slice(0, SHOWN).map((place) => `warning: ${sayPlace(place)}`),
    ...(more === 0 ? [] : [`warning: and ${formatCount(more)} more`]),
    `warning: ${countOf(unknown, 'secret')} in the files, in clear: whoever may read the package can read them. --secrets-baseline accepts them, --secrets=refuse stops such a push.`,
  ];
}

/** @throws CliError secrets_found when there is any that no baseline accepts */
export function refuseSecrets({ count, accepted, open }: SecretFindings): void {
  const unknown = count - accepted;
  if (unknown === 0) return;
  const more = unknown - Math.min(open.length, SHOWN);
  throw new CliError(
    [
      `${countOf(unknown, 'secret')} in the files, in clear: nothing was sent.`,
      ...open.slice(0, SHOWN).map((place) => `  ${sayPlace(place)}`),
      ...(more === 0 ? [] : [`  and ${formatCount(more)} more`]),
    ].join('\n'),
    {
      exit: EXIT.refused,
      code: 'secrets_found',
      next: `Take them out of the files; or accept them: the same command with --secrets-baseline writes them, by their digests, to ${BASELINE_FILE}; or push with --secrets=warn.`,
      extras: { secret_count: unknown, secrets: open.map(({ path, line, kind }) => ({ path, line, kind })) },
    },
  );
}

function sayPlace({ path, line, kind }: SecretPlace): string {
  return `${JSON.stringify(path)}, line ${line}: ${kind}`;
}
