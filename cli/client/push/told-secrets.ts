import type { Limits } from '../../../src/core/limits.ts';
import type { SecretRecord } from '../../../src/core/secret-record.ts';
import type { Baseline } from '../secrets/baseline.ts';
import { recordOf, type SecretFindings } from '../secrets/collect-secrets.ts';
import type { FileList } from '../tree/file-list.ts';
import { refuseSecrets, type SecretsPolicy, secretsOf, secretWarnings } from './push-secrets.ts';

export interface ToldSecretsDeps {
  files: FileList;
  /** Null: nobody looks for secrets. */
  baseline: Baseline | null;
  policy: SecretsPolicy;
  /** News for people. */
  note: ((text: string) => void) | undefined;
  /** What must be seen. */
  warn: ((text: string) => void) | undefined;
}

/** The secrets of a push: told once, when every file was looked through, and recorded with the package. */
export class ToldSecrets {
  readonly #deps: ToldSecretsDeps;
  #findings: SecretFindings | null = null;

  constructor(deps: ToldSecretsDeps) {
    this.#deps = deps;
  }

  /** Null: not every file was looked through yet, or nobody looks. */
  get findings(): SecretFindings | null {
    return this.#findings;
  }

  /** @throws CliError secrets_found when they are refused */
  tell(): void {
    const { files, baseline, policy, warn } = this.#deps;
    if (baseline === null || this.#findings !== null) return;
    this.#findings = secretsOf(files, baseline);
    if (policy === 'refuse') refuseSecrets(this.#findings);
    for (const line of secretWarnings(this.#findings)) warn?.(line);
  }

  /** What the package records of them; an older service records nothing. */
  record(limits: Partial<Limits>): { secrets?: SecretRecord } {
    const record = this.#findings === null ? null : recordOf(this.#findings);
    if (record === null) return {};
    if (limits.secret_places_max !== undefined) return { secrets: record };
    this.#deps.note?.('The service is too old to record with the package which secrets its files have.');
    return {};
  }
}
