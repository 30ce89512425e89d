import type { VerbOption } from './command.ts';
import { parseFilled } from './view/options.ts';

/** What every verb takes; what every verb that talks to a service takes. */
export const COMMON_OPTIONS: readonly VerbOption[] = [
  { flags: '--json', description: 'print one JSON document on stdout and nothing else' },
  { flags: '--quiet', description: 'no progress and no notes on stderr' },
];

export const CLIENT_OPTIONS: readonly VerbOption[] = [
  { flags: '--url <url>', description: 'the service (ARTIFACT_STORE_URL, else http://127.0.0.1:8420)' },
  {
    flags: '--token <token>',
    description: 'bearer token (ARTIFACT_STORE_TOKEN, which is safer than the command line)',
  },
  {
    flags: '--identity <where>',
    description: 'ask the CI job itself for tokens, and for fresh ones as they expire; needs no stored secret',
    choices: ['github'],
  },
  {
    flags: '--audience <text>',
    description: 'whom the tokens of --identity are for (the URL of the service)',
    parse: parseFilled,
  },
  { flags: '--local', description: 'run the service inside this command, on a local data folder' },
  {
    flags: '--data-dir <dir>',
    description: 'data folder for --local (ARTIFACT_STORE_DATA_DIR, else ./data)',
    completes: 'folder',
    parse: parseFilled,
    variable: 'ARTIFACT_STORE_DATA_DIR',
  },
];

export interface CommonValues {
  json?: boolean;
  quiet?: boolean;
  url?: string;
  token?: string;
  identity?: 'github';
  audience?: string;
  local?: boolean;
  dataDir?: string;
}

export const DEFAULT_URL = 'http://127.0.0.1:8420';
