import type { Compression } from './client/tree/compression.ts';
import type { VerbOption } from './command.ts';
import { parseCompression, parseCount, parseFilled } from './view/options.ts';

/** What of a directory counts, wherever one is looked at: a package that was pushed with these compares equal with them. */
export const DIRECTORY_OPTIONS: readonly VerbOption[] = [
  {
    flags: '--exclude <glob>',
    description: 'leave out what matches, a folder with all that it holds; see .artifact-store-ignore too',
    repeatable: true,
  },
  {
    flags: '--symlinks <how>',
    description: 'follow: only to targets inside the directory',
    choices: ['refuse', 'skip', 'follow'],
    default: 'refuse',
  },
  {
    flags: '--special <how>',
    description: 'sockets, fifos, devices',
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
  { flags: '--no-finalize', description: 'leave the package open' },
  { flags: '--revision', description: 'make a new package when a finalized one differs' },
  { flags: '--rehash', description: 'read every file, also those that are remembered as unchanged' },
  { flags: '--parallel <n>', description: 'parts in flight (8)', parse: parseCount },
  {
    flags: '--compression <how>',
    description: 'of what is stored: auto, off, or a zstd level from 1 to 19; nothing becomes larger',
    default: 'auto',
    parse: parseCompression,
  },
  ...DIRECTORY_OPTIONS,
];

/** Their values. */
export interface PushValues extends DirectoryValues {
  retentionClass?: string;
  finalize: boolean;
  revision?: boolean;
  rehash?: boolean;
  parallel?: number;
  compression: Compression;
}

/** Only what PUSH_OPTIONS say, of a verb's options. */
export function pushValues(options: PushValues): PushValues {
  const { retentionClass, finalize, revision, rehash, parallel, compression, exclude, symlinks, special } = options;
  return {
    finalize,
    compression,
    symlinks,
    special,
    ...(retentionClass === undefined ? {} : { retentionClass }),
    ...(revision === undefined ? {} : { revision }),
    ...(rehash === undefined ? {} : { rehash }),
    ...(parallel === undefined ? {} : { parallel }),
    ...(exclude === undefined ? {} : { exclude }),
  };
}
