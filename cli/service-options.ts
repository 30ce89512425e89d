import type { VerbOption } from './command.ts';
import { parseFilled } from './view/options.ts';

const variable = (name: string) => ({ parse: parseFilled, variable: `ARTIFACT_STORE_${name}` });

/** Settings of the service that are given as options. */
export const SERVICE_OPTIONS: readonly VerbOption[] = [
  { flags: '--host <host>', description: 'address to listen on (ARTIFACT_STORE_HOST)', ...variable('HOST') },
  { flags: '--port <port>', description: 'port; 0 picks a free one (ARTIFACT_STORE_PORT)', ...variable('PORT') },
  {
    flags: '--data-dir <dir>',
    description: 'data folder (ARTIFACT_STORE_DATA_DIR)',
    completes: 'folder',
    ...variable('DATA_DIR'),
  },
];

/** Their values. */
export interface ServiceValues {
  host?: string;
  port?: string;
  dataDir?: string;
}

/** The environment with these in the place of its own. */
export function serviceEnv(
  env: Record<string, string | undefined>,
  { host, port, dataDir }: ServiceValues,
): Record<string, string | undefined> {
  return {
    ...env,
    ...(host === undefined ? {} : { ARTIFACT_STORE_HOST: host }),
    ...(port === undefined ? {} : { ARTIFACT_STORE_PORT: port }),
    ...(dataDir === undefined ? {} : { ARTIFACT_STORE_DATA_DIR: dataDir }),
  };
}
