import type { LinePlace } from '../../usecases/view-text.ts';
import { encodePath } from '../words.ts';

/** Addresses of one package's evidence, for one who looks at it. */
export interface EvidenceLinks {
  /** What the page is of: the package, or the link that shows it. */
  readonly package: string;
  /** The page that shows a file. */
  page(path: string, query?: Record<string, string | number>): string;
  /** The file itself, for ten minutes. */
  raw(path: string): string;
  /** The file itself, to be saved. */
  download(path: string): string;
}

/** @param base address of the package's page @param files what comes before a path, with its slash @param token of evidence */
export function evidenceLinks(base: string, files: string, token: string): EvidenceLinks {
  const raw = (path: string): string => `/ui/evidence/${token}/${encodePath(path)}`;
  return {
    package: base,
    page: (path, query = {}) => files + encodePath(path) + queryText(query),
    raw,
    download: (path) => `${raw(path)}?download=1`,
  };
}

function queryText(query: Record<string, string | number>): string {
  const params = new URLSearchParams(
    Object.entries(query).map(([name, value]): [string, string] => [name, String(value)]),
  );
  return params.size === 0 ? '' : `?${params}`;
}

/** The query of a place in a text. */
export function placeQuery({ at, line }: LinePlace): Record<string, number> {
  return at === 0 ? {} : { at, from: line };
}
