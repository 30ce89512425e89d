import type { JsonObject } from '../../../src/core/canonical-json.ts';
import { usageError } from '../../errors.ts';
import { formatCount } from '../../format.ts';

/** Why something in a directory is not pushed. */
export type LeftOutBy = 'symlink' | 'special' | 'excluded';

/** What a push left out of a directory, as the package's metadata says it. */
export interface LeftOut {
  /** Each entry once: a folder that is left out is one, whatever is in it. */
  count: number;
  by: Record<LeftOutBy, number>;
  /** The first ones; folders end in a slash. */
  paths: string[];
  /** The globs that were in force. */
  patterns: string[];
}

export const LEFT_OUT_MEMBER = 'left_out';
const PATHS_MAX = 100;
/** Of metadata, which has 256 KiB in all. */
const PATHS_MAX_BYTES = 32 * 1024;

/** Keeps account of what is left out, and tells people of it. */
export class LeftOutList {
  readonly #note: (text: string) => void;
  readonly #by: Record<LeftOutBy, number> = { symlink: 0, special: 0, excluded: 0 };
  readonly #paths: string[] = [];
  #count = 0;
  #bytes = 0;

  constructor(note: (text: string) => void = () => {}) {
    this.#note = note;
  }

  get count(): number {
    return this.#count;
  }

  /** @param why half a sentence */
  add(path: string, by: LeftOutBy, why: string): void {
    this.#count += 1;
    this.#by[by] += 1;
    this.#bytes += JSON.stringify(path).length;
    if (this.#paths.length !== this.#count - 1 || this.#count > PATHS_MAX || this.#bytes > PATHS_MAX_BYTES) return;
    this.#paths.push(path);
    this.#note(`left out: ${JSON.stringify(path)} ${why}`);
  }

  /** When all of the directory was seen. @returns null when nothing is left out */
  end(patterns: readonly string[]): LeftOut | null {
    const more = this.#count - this.#paths.length;
    if (more > 0) this.#note(`left out: ${formatCount(more)} more`);
    if (this.#count === 0) return null;
    return { count: this.#count, by: { ...this.#by }, paths: [...this.#paths], patterns: [...patterns] };
  }
}

/** @throws CliError wrong_usage when the metadata has a member of that name already */
export function withLeftOut(metadata: JsonObject | undefined, leftOut: LeftOut | null): JsonObject | undefined {
  if (metadata !== undefined && Object.hasOwn(metadata, LEFT_OUT_MEMBER)) {
    throw usageError(
      `The metadata has a member ${JSON.stringify(LEFT_OUT_MEMBER)}: under that name a push records what it leaves out.`,
      'Give the member another name.',
    );
  }
  return leftOut === null ? metadata : { ...metadata, [LEFT_OUT_MEMBER]: { ...leftOut } };
}
