import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileIndex, FileList } from '../client/tree/file-list.ts';
import { fileChanged, fileError } from '../client/tree/local-file.ts';
import { readFull, readUnchangedLater } from '../client/tree/read-whole.ts';
import type { BagDamages } from './bag-problems.ts';
import type { ListedFiles } from './listed-files.ts';

const PIECE = 1024 ** 2;
/** Bytes between two looks at what else there is to do: reading a small file at once costs a tenth of what a stream does. */
const TURN = 8 * PIECE;
/** What opening a file costs, in bytes. */
const OPENING = 64 * 1024;

export interface HashProgress {
  files: number;
  bytes: number;
}

/** Reads every listed file once, and holds it against all manifests that list it. @throws CliError file_changed, file_unreadable */
export async function hashListed(
  files: FileList,
  lists: readonly ListedFiles[],
  { damages, signal, done }: { damages: BagDamages; signal: AbortSignal; done: HashProgress },
): Promise<void> {
  const read = fileReader(signal, done);
  for (let index = 0; index < files.length; index += 1) {
    const wanted = lists.flatMap(({ manifest, digests }) => {
      const digest = digests.get(index);
      return digest === undefined ? [] : [{ manifest, digest }];
    });
    if (wanted.length === 0) continue;
    const found = await read(files, index, new Set(wanted.map(({ manifest }) => manifest.algorithm)));
    for (const { manifest, digest } of wanted) {
      const actual = found.get(manifest.algorithm);
      if (actual === digest) continue;
      const path = files.path(index);
      const detail = `${JSON.stringify(path)} has the ${manifest.algorithm} ${actual}, and ${manifest.name} says ${digest}.`;
      damages.add({ path, how: 'changed', detail });
    }
    done.files += 1;
  }
}

type ReadFile = (files: FileList, index: FileIndex, algorithms: ReadonlySet<string>) => Promise<Map<string, string>>;

/** Reads files into one buffer, and lets others have their turn. */
function fileReader(signal: AbortSignal, done: HashProgress): ReadFile {
  const buffer = Buffer.allocUnsafeSlow(PIECE);
  let sinceTurn = 0;
  const count = async (bytes: number): Promise<void> => {
    sinceTurn += bytes;
    if (sinceTurn < TURN) return;
    sinceTurn = 0;
    await nextTurn();
    signal.throwIfAborted();
  };
  return async (files, index, algorithms) => {
    const { absolute, identity, path, size } = files.at(index);
    const read = await readUnchangedLater({ absolute, identity }, async (fd) => {
      const hashes = [...algorithms].map((algorithm) => ({ algorithm, hash: createHash(algorithm) }));
      for (let at = 0; at < size; ) {
        const piece = Math.min(PIECE, size - at);
        if (!readFull(fd, buffer, 0, piece)) return null;
        for (const { hash } of hashes) hash.update(buffer.subarray(0, piece));
        at += piece;
        done.bytes += piece;
        await count(piece);
      }
      const digests = new Map(hashes.map(({ algorithm, hash }) => [algorithm, hash.digest('hex')]));
      return { ok: true as const, digests };
    });
    await count(OPENING);
    if (read.ok) return read.digests;
    throw read.changed
      ? fileChanged(path)
      : fileError(path, Object.assign(new Error(read.message), { code: read.code }));
  };
}
