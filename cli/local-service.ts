import { randomBytes } from 'node:crypto';
import type { OpenDataFolderOptions } from '../src/blobs/data-folder.ts';
import { loadConfig } from '../src/config.ts';
import { startService } from '../src/server.ts';

export interface LocalService {
  url: string;
  token: string;
  stop(): Promise<void>;
}

/**
 * The service inside this process: any free port of loopback, and a token that nobody else knows, so that other users
 * of the machine cannot use it while it runs. @throws ConfigError, DataFolderError
 */
export async function startLocalService(
  env: Record<string, string | undefined>,
  dataDir: string | undefined,
  folderOptions: OpenDataFolderOptions = {},
): Promise<LocalService> {
  const token = randomBytes(24).toString('base64url');
  const { ARTIFACT_STORE_PUBLIC_URL: _url, ARTIFACT_STORE_ADMIN_TOKEN_FILE: _file, ...rest } = env;
  const config = loadConfig({
    ...rest,
    ARTIFACT_STORE_HOST: '127.0.0.1',
    ARTIFACT_STORE_PORT: '0',
    ARTIFACT_STORE_ADMIN_TOKEN: token,
    ARTIFACT_STORE_LOG_LEVEL: env.ARTIFACT_STORE_LOG_LEVEL || 'error',
    ...(dataDir === undefined ? {} : { ARTIFACT_STORE_DATA_DIR: dataDir }),
  });
  const service = await startService(config, {}, folderOptions);
  return { url: service.url, token, stop: () => service.stop() };
}
