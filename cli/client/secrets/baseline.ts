import { matchesGlob } from 'node:path';
import type { FoundSecret } from './find-secrets.ts';

/** In the root of a directory: a line for each secret that is known and accepted; `#` begins a comment. */
export const BASELINE_FILE = '.artifact-store-secrets';

const LINE = /^sha256:([0-9a-f]{64})[ \t]+([a-z0-9-]+)[ \t]+(\S.*)$/;

/** A secret, by its digest, that may stand in the files that a glob names. */
interface Accepted {
  sha256: string;
  kind: string;
  /** As `pull --path` takes it. */
  glob: string;
}

/** Which secrets of a directory are known and accepted. */
export class Baseline {
  readonly #globs = new Map<string, string[]>();

  private constructor(accepted: readonly Accepted[]) {
    for (const { sha256, kind, glob } of accepted) {
      const key = `${sha256} ${kind}`;
      this.#globs.set(key, [...(this.#globs.get(key) ?? []), glob]);
    }
  }

  /** @returns the number of the first line, from 1 on, that is none */
  static parse(text: string): Baseline | number {
    const accepted: Accepted[] = [];
    for (const [index, written] of text.split('\n').entries()) {
      const line = written.trim();
      if (line === '' || line.startsWith('#')) continue;
      const [, sha256, kind, glob] = LINE.exec(line) ?? [];
      if (sha256 === undefined || kind === undefined || glob === undefined) return index + 1;
      accepted.push({ sha256, kind, glob });
    }
    return new Baseline(accepted);
  }

  static readonly none = new Baseline([]);

  accepts(path: string, { sha256, kind }: FoundSecret): boolean {
    return (this.#globs.get(`${sha256} ${kind}`) ?? []).some((glob) => matchesGlob(path, glob));
  }
}

/** The line that accepts a secret in one file. */
export function baselineLine(path: string, { sha256, kind }: FoundSecret): string {
  return `sha256:${sha256} ${kind} ${globOf(path)}`;
}

/** What a glob would take for something else, and what would end the line or be lost at its end, stands as any character. */
function globOf(path: string): string {
  return path.replace(/[*?[\]{}()!+@\\]|[\p{Cc}\p{Zl}\p{Zp}]|^\s|\s$/gu, '?');
}
