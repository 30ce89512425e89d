import { type Config, ConfigError } from './config.ts';
import { type Authentication, adminTokenGrant, authentication, type GrantOf } from './http/authenticate.ts';
import { isLoopback } from './http/guard.ts';
import type { Registry } from './registry/registry.ts';
import { apiTokenGrants } from './usecases/api-token-grants.ts';
import { openness } from './usecases/openness.ts';
import type { Log } from './usecases/services.ts';

export interface ConfiguredAccess {
  authentication: Authentication;
  /** Ends when what was begun is written. */
  close(): Promise<void>;
}

/**
 * Who may come in: the admin token, tokens of the API, and as long as there is neither, everybody on this machine.
 * @param others further kinds of bearers, which are configured
 * @throws ConfigError when others could reach a service that asks nobody for a token
 */
export async function configuredAccess(
  { adminToken, host }: Pick<Config, 'adminToken' | 'host'>,
  registry: Registry,
  log: Log,
  others: readonly GrantOf[],
): Promise<ConfiguredAccess> {
  const apiTokens = apiTokenGrants(registry, log);
  const admin = adminToken === null ? [] : [adminTokenGrant(adminToken)];
  const open = openness(registry, adminToken !== null, others.length > 0);
  // Known from the start on: when the registry stops answering, what was seen last decides what strangers are shown.
  await open.hasTokens();
  if (!isLoopback(host) && (await open.isOpen())) {
    throw new ConfigError(
      `ARTIFACT_STORE_HOST is ${host}, which other machines can reach: set ARTIFACT_STORE_ADMIN_TOKEN, make a token with \`artifact-store token create --local\`, or listen on 127.0.0.1.`,
    );
  }
  return { authentication: authentication([...admin, apiTokens.grantOf, ...others], open), close: apiTokens.close };
}
