import { readFile } from 'node:fs/promises';
import { type Config, ConfigError } from './config.ts';
import { IdentityFileError, parseIdentities } from './core/identity-file.ts';
import type { TrustedIssuer } from './core/identity-rules.ts';
import type { GrantOf } from './http/authenticate.ts';
import { type IdentitiesLog, identityGrant } from './oidc/identities.ts';
import type { IssuerTimes } from './oidc/issuer-keys.ts';

/** What reads the JWTs of CI jobs; nothing, without a file of rules. @throws ConfigError */
export async function configuredIdentities(
  { identities }: Config,
  log: IdentitiesLog,
  times?: Partial<IssuerTimes>,
): Promise<GrantOf[]> {
  if (identities === null) return [];
  const { file, proxies } = identities;
  return [identityGrant({ issuers: await readIdentities(file), proxies, log, times })];
}

/** The issuers that a file of identity rules trusts. @throws ConfigError */
export async function readIdentities(file: string): Promise<TrustedIssuer[]> {
  const wrong = (why: string) => new ConfigError(`ARTIFACT_STORE_OIDC_RULES: ${file} ${why}.`);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw wrong(`cannot be read (${(error as Error).message})`);
  }
  try {
    return parseIdentities(text);
  } catch (error) {
    throw error instanceof IdentityFileError ? wrong(error.message) : error;
  }
}
