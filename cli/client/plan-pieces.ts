import type { DownloadList } from '../../src/api/types.ts';
import { EMPTY_DIGEST } from '../../src/core/digest.ts';
import type { CliError } from '../errors.ts';
import { integrityFailure } from './failures.ts';
import type { PackageFile } from './package-files.ts';
import { isBound, type Piece } from './pieces.ts';
import type { Source } from './signed-get.ts';

/**
 * What the service answered, in one call or several, as pieces: an object that several calls name is one source, a digest
 * that several files have one piece. @throws CliError integrity_failure when it is not what the files are
 */
export function piecesOf(pages: readonly DownloadList[], files: readonly PackageFile[]): Piece[] {
  const wanted = new Map(files.map((file) => [file.path, file]));
  const sources = new Map<string, Source>();
  const pieces = new Map<Source, Map<string, Piece>>();
  for (const { entries, url, headers, size: all } of pages.flatMap(({ objects }) => objects)) {
    const source = sourceOf({ url, headers, size: all }, sources);
    const within = pieces.get(source) ?? new Map<string, Piece>();
    pieces.set(source, within);
    for (const { path, digest, offset, size } of entries) {
      const file = wanted.get(path);
      if (file === undefined) continue;
      wanted.delete(path);
      if (digest !== file.digest || size !== file.size) throw offeredOtherwise(path);
      if (offset + size > all) throw integrityFailure(path, 'is said to lie outside its object.');
      if (size === 0 && digest !== EMPTY_DIGEST) throw offeredOtherwise(path);
      const key = `${offset} ${digest} ${size}`;
      const piece = within.get(key);
      if (piece) piece.files.push(file);
      else within.set(key, { digest, size, files: [file], place: { source, offset } });
    }
  }
  const [forgotten] = wanted.keys();
  if (forgotten !== undefined) throw integrityFailure(forgotten, 'was asked for, and is not offered.');
  return [...pieces.values()].flatMap((within) => [...within.values()]);
}

function offeredOtherwise(path: string): CliError {
  return integrityFailure(path, 'is offered with another digest or size than the package lists.');
}

/** Two signatures of one object differ in the query; a key is never used twice, so what is before it tells. */
function sourceOf(source: Source, known: Map<string, Source>): Source {
  if (isBound(source)) return source;
  const key = `${source.size} ${source.url.split('?', 1)[0]}`;
  const first = known.get(key) ?? source;
  known.set(key, first);
  return first;
}
