import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { forEachLimit } from '../client/concurrency.ts';
import type { FileIndex, FileList } from '../client/tree/file-list.ts';
import { fileChanged, fileError } from '../client/tree/local-file.ts';
import { readUnchangedLater } from '../client/tree/read-whole.ts';
import type { BagDamages } from './bag-problems.ts';
import type { ListedFiles } from './listed-files.ts';

const AT_ONCE = 4;
const PIECE = 1024 ** 2;

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
  await forEachLimit(indexesOf(files), AT_ONCE, async (index) => {
    const wanted = lists.flatMap(({ manifest, digests }) => {
      const digest = digests.get(index);
      return digest === undefined ? [] : [{ manifest, digest }];
    });
    if (wanted.length === 0) return;
    const found = await hashFile(files, index, new Set(wanted.map(({ manifest }) => manifest.algorithm)), signal, done);
    for (const { manifest, digest } of wanted) {
      const actual = found.get(manifest.algorithm);
      if (actual === digest) continue;
      const path = files.path(index);
      const detail = `${JSON.stringify(path)} has the ${manifest.algorithm} ${actual}, and ${manifest.name} says ${digest}.`;
      damages.add({ path, how: 'changed', detail });
    }
    done.files += 1;
  });
}

function* indexesOf({ length }: FileList): Generator<FileIndex> {
  for (let index = 0; index < length; index += 1) yield index;
}

async function hashFile(
  files: FileList,
  index: FileIndex,
  algorithms: ReadonlySet<string>,
  signal: AbortSignal,
  done: HashProgress,
): Promise<Map<string, string>> {
  signal.throwIfAborted();
  const { absolute, identity, path } = files.at(index);
  const read = await readUnchangedLater({ absolute, identity }, async (fd) => {
    const hashes = [...algorithms].map((algorithm) => ({ algorithm, hash: createHash(algorithm) }));
    for await (const piece of createReadStream('', { fd, autoClose: false, highWaterMark: PIECE, signal })) {
      for (const { hash } of hashes) hash.update(piece as Buffer);
      done.bytes += (piece as Buffer).length;
    }
    return {
      ok: true as const,
      digests: new Map(hashes.map(({ algorithm, hash }) => [algorithm, hash.digest('hex')])),
    };
  });
  if (read.ok) return read.digests;
  throw read.changed ? fileChanged(path) : fileError(path, Object.assign(new Error(read.message), { code: read.code }));
}
