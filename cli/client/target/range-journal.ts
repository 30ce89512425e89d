import { closeSync, constants, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { journalTitle, rangeCount, readJournal } from './file-ranges.ts';
import type { OpenFolder } from './open-folder.ts';

/** A line holds at most nine digits. */
const LINE_MAX = 10;

/**
 * The ranges of a partial file that are on the disk, one line for each, so that another process can continue. It saves
 * work and proves nothing: whoever continues hashes every byte again.
 */
export class RangeJournal {
  readonly #folder: OpenFolder;
  readonly #name: string;
  readonly #fd: number;

  private constructor(folder: OpenFolder, name: string, fd: number) {
    this.#folder = folder;
    this.#name = name;
    this.#fd = fd;
  }

  /**
   * @param size of the whole file
   * @param there so many bytes of it are there
   * @returns the journal, and the ranges that are done by it
   */
  static open(
    folder: OpenFolder,
    name: string,
    { size, there }: { size: number; there: number },
  ): { journal: RangeJournal; done: Set<number> } {
    const title = journalTitle(size);
    const done = readJournal(
      readText(folder.at(name), title.length + 1 + 2 * rangeCount(size) * LINE_MAX),
      size,
      there,
    );
    // Made anew: a line that a crash cut off would run into the next one, and whatever has the name may be no file of ours.
    rmSync(folder.at(name), { force: true });
    const journal = new RangeJournal(folder, name, openSync(folder.at(name), 'ax', 0o600));
    try {
      journal.#write([title, ...done]);
    } catch (error) {
      journal.close();
      throw error;
    }
    return { journal, done };
  }

  add(ranges: readonly number[]): void {
    this.#write(ranges);
  }

  close(): void {
    closeSync(this.#fd);
  }

  remove(): void {
    rmSync(this.#folder.at(this.#name), { force: true });
  }

  #write(lines: ReadonlyArray<string | number>): void {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    for (let done = 0; done < bytes.length; ) done += writeSync(this.#fd, bytes, done);
  }
}

/** Nothing when it is longer than a journal can be, or no file that can be read. */
function readText(path: string, most: number): string {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return '';
  }
  try {
    const bytes = Buffer.alloc(most + 1);
    let filled = 0;
    for (let count = 1; count > 0 && filled < bytes.length; filled += count) {
      count = readSync(fd, bytes, filled, bytes.length - filled, null);
    }
    return filled > most ? '' : bytes.toString('latin1', 0, filled);
  } catch {
    return '';
  } finally {
    closeSync(fd);
  }
}
