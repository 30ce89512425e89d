import type { ApiClient, ClientOptions } from './client/api/api-client.ts';
import { type CommonValues, DEFAULT_URL } from './common-options.ts';
import { githubIdentity, parseToken } from './credentials.ts';
import { usageError } from './errors.ts';

export interface Session {
  /** Opens on first use. */
  client(): Promise<ApiClient>;
  close(): Promise<void>;
}

export interface SessionOptions {
  common: CommonValues;
  env: Record<string, string | undefined>;
  signal: AbortSignal;
  version: string;
  /** Whether --local may make a data folder where there is none. */
  makesDataFolder: boolean;
  /** Told when something is retried. */
  tell: (text: string) => void;
}

/** The service that a verb talks to: one at a URL, or with --local one inside this process. */
export function newSession({ common, env, signal, version, makesDataFolder, tell }: SessionOptions): Session {
  const closers: Array<() => Promise<void> | void> = [];
  let opened: Promise<ApiClient> | null = null;
  const userAgent = `artifact-store/${version}`;

  async function open(): Promise<ApiClient> {
    // Loaded for those who need it: `--help` does not.
    const { ApiClient } = await import('./client/api/api-client.ts');
    const client = new ApiClient({ ...(common.local ? await openLocal() : remote()), signal, userAgent, env, tell });
    closers.push(() => client.close());
    return client;
  }

  async function openLocal(): Promise<{ url: string; token: string }> {
    const { startLocalService } = await import('./local-service.ts');
    const local = await startLocalService(env, common.dataDir, { make: makesDataFolder });
    closers.push(local.stop);
    return local;
  }

  function remote(): Pick<ClientOptions, 'url' | 'token' | 'identity'> {
    const url = common.url ?? (env.ARTIFACT_STORE_URL || DEFAULT_URL);
    if (common.identity !== undefined) return { url, token: null, identity: githubIdentity(env, common.audience) };
    return {
      url,
      token:
        parseToken('--token', common.token) ??
        parseToken('ARTIFACT_STORE_TOKEN', env.ARTIFACT_STORE_TOKEN || undefined),
    };
  }

  return {
    client: () => {
      opened ??= open();
      return opened;
    },
    close: async () => {
      for (const close of closers.splice(0).reverse()) await close();
    },
  };
}

/** @throws CliError wrong_usage for options that contradict each other */
export function checkCommon({ local, url, token, identity, audience, dataDir }: CommonValues): void {
  if (local && identity !== undefined) throw usageError('--identity is for a service with --url; --local needs none.');
  if (token !== undefined && identity !== undefined) {
    throw usageError('--token and --identity are two ways to say who you are: give one of them.');
  }
  if (audience !== undefined && identity === undefined) {
    throw usageError('--audience is whom the tokens of --identity are for: add --identity github.');
  }
  if (local && url !== undefined) throw usageError('--local and --url name two services: give one of them.');
  if (local && token !== undefined) throw usageError('--token is for a service with --url; --local needs none.');
  if (!local && dataDir !== undefined) {
    throw usageError('--data-dir names the data folder of --local: add --local.', 'A service has its own data folder.');
  }
}
