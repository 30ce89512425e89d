import type { PublicKey } from '../../../src/core/signing-key.ts';
import type { Statement } from '../../../src/core/statement.ts';
import { CliError, EXIT } from '../../errors.ts';
import type { ProgressReport } from '../../progress.ts';
import type { FileList } from '../tree/file-list.ts';
import type { FindOptions } from '../tree/find-files.ts';
import { LeftOutList } from '../tree/left-out.ts';
import { Readers } from '../tree/readers.ts';
import { walk } from '../tree/walk.ts';
import { attestedFiles } from './attested-files.ts';
import { hashList } from './hash-list.ts';
import { compareWithList, type ListDifferences } from './list-differences.ts';
import { checkLogged, type Logged } from './log-proof.ts';
import { invalidAttestation, readAttestation, readKeys } from './read-inputs.ts';

export interface OfflineOptions extends Pick<FindOptions, 'symlinks' | 'special'> {
  directory: string;
  attestation: string;
  /** Files of public keys: one of them must have signed. */
  keys: readonly string[];
  /** Null: the statement names the files itself. */
  manifest: string | null;
  /** Null: the log is not asked for. */
  log: { proof: string; checkpoint: string | null } | null;
}

/** What was found to be as it was attested. */
export interface OfflineVerification {
  statement: Statement;
  /** Which has signed. */
  key: PublicKey;
  files: number;
  bytes: number;
  /** Entries of the directory that were not looked at, as was asked for. */
  leftOut: number;
  /** Null: it was not asked for. */
  logged: Logged | null;
}

interface Watcher {
  signal: AbortSignal;
  progress(report: () => ProgressReport): void;
  note(text: string): void;
}

/**
 * Holds a directory against an attestation, without any service: who signed it, and that every file it names is there with
 * its bytes, and no other. The directory's own ignore file is a file like all others: whoever changed the directory could have
 * written it.
 * @throws CliError wrong_usage; attestation_invalid, digest_mismatch, integrity_failure, directory_differs (exit 5); file_changed, file_unreadable
 */
export async function verifyOffline(options: OfflineOptions, watcher: Watcher): Promise<OfflineVerification> {
  const { directory, attestation, manifest, symlinks, special } = options;
  const keys = await readKeys(options.keys);
  const { statement, key } = await readAttestation(attestation, keys);
  const logged = options.log === null ? null : await checkLogged(options.log, statement, keys);
  const list = await attestedFiles({ attestation, statement, manifest });
  const leftOut = new LeftOutList(watcher.note);
  const files = await walk(directory, { symlinks, special, signal: watcher.signal, leftOut }).catch(foreignEntries);
  await hashAll(files, watcher);
  const found = await compareWithList(files, list);
  const { file_count: count } = statement.predicate;
  if (found.listed !== count)
    throw invalidAttestation(attestation, `names ${found.listed} files and says that there are ${count}`);
  if (found.first !== null) throw directoryDiffers(directory, found, found.first);
  return { statement, key, files: files.length, bytes: files.totalBytes, leftOut: leftOut.count, logged };
}

async function hashAll(files: FileList, { signal, progress }: Watcher): Promise<void> {
  const readers = new Readers();
  const stop = (): void => void readers.stop();
  signal.addEventListener('abort', stop, { once: true });
  const total = { totalFiles: files.length, totalBytes: files.totalBytes };
  progress(() => ({ phase: 'verifying', files: readers.files, bytes: readers.bytes, ...total }));
  try {
    await hashList(files, readers);
  } finally {
    signal.removeEventListener('abort', stop);
    await readers.stop();
  }
}

/** Symlinks, fifos and names that no package can hold are too many; what cannot be read says nothing of the directory. */
function foreignEntries(error: unknown): never {
  const problems =
    error instanceof CliError ? (error.extras.problems as Array<{ code: string }> | undefined) : undefined;
  const foreign = problems?.find(({ code }) => code !== 'file_unreadable');
  if (foreign === undefined) throw error;
  const { message, extras } = error as CliError;
  throw new CliError(message, {
    exit: EXIT.integrity,
    code: 'directory_differs',
    next: 'No pull writes such a thing: somebody put it there.',
    extras: { ...extras, how: 'added' },
    cause: error,
  });
}

const SAID = { changed: 'has other bytes', removed: 'is missing', added: 'is not in the package' };
const SHOWN = 20;
const MARKS = { changed: '~', removed: '-', added: '+' };

function directoryDiffers(
  directory: string,
  { count, counts, paths }: ListDifferences,
  { path, how }: NonNullable<ListDifferences['first']>,
): CliError {
  const lines = (['changed', 'removed', 'added'] as const).flatMap((kind) =>
    paths[kind].map((each) => `  ${MARKS[kind]} ${JSON.stringify(each)}`),
  );
  const more = count - Math.min(SHOWN, lines.length);
  const all = [
    `${JSON.stringify(directory)} is not what was attested: ${JSON.stringify(path)} ${SAID[how]}.`,
    `In all: ${counts.changed} with other bytes (~), ${counts.removed} missing (-), ${counts.added} too many (+).`,
    ...lines.slice(0, SHOWN),
    ...(more === 0 ? [] : [`  … and ${more} more`]),
  ];
  return new CliError((count === 1 ? all.slice(0, 1) : all).join('\n'), {
    exit: EXIT.integrity,
    code: 'directory_differs',
    next: paths.added.some((each) => each.startsWith('.artifact-store-pull-')) ? LEFT_BY_PULL : undefined,
    extras: { directory, path, how, counts, ...paths },
  });
}

const LEFT_BY_PULL =
  'A pull into this directory was cut off: run it again, it finishes its work and removes what it left.';
