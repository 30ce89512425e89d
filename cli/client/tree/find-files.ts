import { type Exclude, readExclude } from './exclude.ts';
import type { FileList } from './file-list.ts';
import { type LeftOut, LeftOutList } from './left-out.ts';
import { type WalkOptions, walk } from './walk.ts';

/** What of a directory counts: as the command line says it. */
export interface FindOptions {
  symlinks: WalkOptions['symlinks'];
  special: WalkOptions['special'];
  /** Globs; the directory's own ignore file has further ones. */
  exclude?: readonly string[] | undefined;
}

export interface Found {
  files: FileList;
  exclude: Exclude | null;
  /** Null when nothing was. */
  leftOut: LeftOut | null;
  /** To look at the directory once more, in the same way. */
  walkOptions: WalkOptions;
}

/** The files of a directory, and what is left out of it. @throws what `walk` and `readExclude` throw */
export async function findFiles(
  directory: string,
  { symlinks, special, exclude: globs }: FindOptions,
  { signal, note }: { signal: AbortSignal; note?: ((text: string) => void) | undefined },
): Promise<Found> {
  const exclude = readExclude(directory, globs ?? []);
  const list = new LeftOutList(note);
  const walkOptions: WalkOptions = { symlinks, special, exclude, signal };
  const files = await walk(directory, { ...walkOptions, leftOut: list });
  // What was meant to stay out would be preserved. An ignore file may have patterns for other directories.
  for (const pattern of globs ?? [])
    if (exclude?.hasMatched(pattern) === false)
      note?.(
        `--exclude ${JSON.stringify(pattern)} left nothing out: patterns begin in the directory, and **/ stands for any folders.`,
      );
  return { files, exclude, leftOut: list.end(exclude?.patterns ?? []), walkOptions };
}
