import type { DownloadList } from '../../../src/api/types.ts';
import { EMPTY_DIGEST } from '../../../src/core/digest.ts';
import { checkFrameTable, FrameTable } from '../../../src/core/frame-table.ts';
import type { CliError } from '../../errors.ts';
import type { PackageFile } from '../package-file.ts';
import { integrityFailure } from './failures.ts';
import { isBound, type Piece } from './pieces.ts';
import { contentSize, type Source } from './signed-get.ts';

/**
 * Makes pieces of what the service answers, call by call: an object that several calls name is one source, a digest that
 * several files have one piece. Of an answer nothing is kept but where the bytes are.
 */
export class PiecePlan {
  /** Files of which no answer has told yet. */
  readonly #wanted = new Map<string, PackageFile>();
  readonly #sources = new Map<string, Source>();
  /** By offset; of one offset, hardly ever more than one. */
  readonly #pieces = new Map<Source, Map<number, Piece[]>>();

  /** Answers will tell of these. */
  want(files: readonly PackageFile[]): void {
    for (const file of files) this.#wanted.set(file.path, file);
  }

  /** @throws CliError integrity_failure when it is not what the files are */
  add({ objects }: DownloadList): void {
    for (const object of objects) {
      const source = sourceOf(asSource(object), this.#sources);
      const within = this.#pieces.get(source) ?? new Map<number, Piece[]>();
      this.#pieces.set(source, within);
      for (const { path, digest, offset, size } of object.entries) {
        const file = this.#wanted.get(path);
        if (file === undefined) continue;
        this.#wanted.delete(path);
        if (digest !== file.digest || size !== file.size) throw offeredOtherwise(path);
        if (offset + size > contentSize(source)) throw integrityFailure(path, 'is said to lie outside its object.');
        if (size === 0 && digest !== EMPTY_DIGEST) throw offeredOtherwise(path);
        addPiece(within, file, { source, offset });
      }
    }
  }

  /** @throws CliError integrity_failure when a file was not offered */
  pieces(): Piece[] {
    const [forgotten] = this.#wanted.keys();
    if (forgotten !== undefined) throw integrityFailure(forgotten, 'was requested, but is not offered.');
    return [...this.#pieces.values()].flatMap((within) => [...within.values()].flat());
  }
}

function addPiece(within: Map<number, Piece[]>, file: PackageFile, place: Piece['place']): void {
  const { digest, size } = file;
  const here = within.get(place.offset);
  const known = here?.find((piece) => piece.digest === digest && piece.size === size);
  const piece = { digest, size, files: [file], place };
  if (known) known.files.push(file);
  else if (here) here.push(piece);
  else within.set(place.offset, [piece]);
}

function offeredOtherwise(path: string): CliError {
  return integrityFailure(path, 'is offered with another digest or size than the package lists.');
}

/** @throws CliError integrity_failure for frames that are not those of its bytes */
function asSource({ url, headers, size, frames, entries }: DownloadList['objects'][number]): Source {
  if (frames === undefined) return { url, headers, size, frames: null };
  try {
    const table = FrameTable.decode(Buffer.from(frames, 'base64'));
    checkFrameTable(table, { size: table.logicalSize, storedSize: size, members: null });
    return { url, headers, size, frames: table };
  } catch (error) {
    throw integrityFailure(entries[0]?.path ?? '', `is offered in an object that ${(error as Error).message}.`);
  }
}

/** Two signatures of one object differ in the query; a key is never used twice, so what is before it tells. */
function sourceOf(source: Source, known: Map<string, Source>): Source {
  if (isBound(source)) return source;
  const key = `${source.size} ${source.url.split('?', 1)[0]}`;
  const first = known.get(key) ?? source;
  known.set(key, first);
  return first;
}
