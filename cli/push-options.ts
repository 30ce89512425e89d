import type { FileRule } from '../src/core/retention.ts';
import type { SecretsPolicy } from './client/push/push-secrets.ts';
import type { Compression } from './client/tree/compression.ts';
import type { VerbOption } from './command.ts';
import { parseCompression, parseCount, parseFileRule, parseFilled } from './view/options.ts';

/** What of a directory counts, wherever one is looked at: a package that was pushed with these compares equal with them. */
export const DIRECTORY_OPTIONS: readonly VerbOption[] = [
  {
    flags: '--exclude <glob>',
    description: 'leave out what matches, a folder with its contents; see also .artifact-store-ignore',
    repeatable: true,
  },
  {
    flags: '--symlinks <how>',
    description: 'what to do with symlinks; follow: only to targets inside the directory',
    choices: ['refuse', 'skip', 'follow'],
    default: 'refuse',
  },
  {
    flags: '--special <how>',
    description: 'what to do with sockets, fifos and devices',
    choices: ['refuse', 'skip'],
    default: 'refuse',
  },
];

/** Their values. */
export interface DirectoryValues {
  exclude?: string[];
  symlinks: 'refuse' | 'skip' | 'follow';
  special: 'refuse' | 'skip';
}

/** What `push` and `ingest` take alike: how a directory becomes a package. */
export const PUSH_OPTIONS: readonly VerbOption[] = [
  { flags: '--retention-class <class>', description: 'how long to keep it (raw-evidence)', parse: parseFilled },
  {
    flags: '--file-rule <glob=days>',
    description: 'files that need not be kept as long as the package: days after it is finalized',
    repeatable: true,
    parse: parseFileRule,
    field: 'file_rules',
  },
  { flags: '--no-finalize', description: 'leave the package open' },
  { flags: '--revision', description: 'if the finalized package differs, make a new one that supersedes it' },
  { flags: '--rehash', description: 'read every file, even if the cache says that it is unchanged' },
  {
    flags: '--secrets <how>',
    description: 'secrets in text files: refuse the push, warn of them, or do not look',
    choices: ['refuse', 'warn', 'ignore'],
    default: 'warn',
  },
  {
    flags: '--secrets-baseline',
    description: 'only write to .artifact-store-secrets that the secrets now in the files are accepted; send nothing',
  },
  { flags: '--parallel <n>', description: 'parts in flight (8)', parse: parseCount },
  {
    flags: '--compression <how>',
    description: 'compression of what is stored: auto, off, or a zstd level from 1 to 19; never makes anything larger',
    default: 'auto',
    parse: parseCompression,
  },
  ...DIRECTORY_OPTIONS,
];

/** Their values. */
export interface PushValues extends DirectoryValues {
  retentionClass?: string;
  fileRule?: FileRule[];
  finalize: boolean;
  revision?: boolean;
  rehash?: boolean;
  secrets: SecretsPolicy;
  secretsBaseline?: boolean;
  parallel?: number;
  compression: Compression;
}

/** Only what PUSH_OPTIONS say, of a verb's options. */
export function pushValues(options: PushValues): PushValues {
  const {
    retentionClass,
    fileRule,
    finalize,
    revision,
    rehash,
    secrets,
    parallel,
    compression,
    exclude,
    symlinks,
    special,
  } = options;
  return {
    finalize,
    compression,
    secrets,
    symlinks,
    special,
    ...(retentionClass === undefined ? {} : { retentionClass }),
    ...(fileRule === undefined ? {} : { fileRule }),
    ...(revision === undefined ? {} : { revision }),
    ...(rehash === undefined ? {} : { rehash }),
    ...(parallel === undefined ? {} : { parallel }),
    ...(exclude === undefined ? {} : { exclude }),
  };
}
