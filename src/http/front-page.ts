import { escapeHtml, type Page } from './html-page.ts';

const NAME = 'artifact-store';

/** What this is, in three sentences. */
const WHAT = [
  'A preservation service for generated artifacts.',
  'A producer hands over a directory of files; the store keeps every byte under its SHA-256, and remembers which package had which file, how long it must be kept and who changed that.',
  'Years later it can prove that nothing changed.',
];

const LINKS = {
  '/ui': 'packages and their evidence, to look at',
  '/docs': 'every call of the API, and which token it needs',
  '/docs/errors': 'what to do about each error',
  '/openapi.json': 'the same calls for machines (OpenAPI 3.1)',
  '/healthz': 'whether the process lives',
};

export interface About {
  /** Null: it is not for whoever asks, as in /readyz. */
  version: string | null;
  /** Whether there is something at a path. */
  serves(path: string): boolean;
}

/** For people. */
export function frontPage({ version, serves }: About): Page {
  const title = version === null ? NAME : `${NAME} ${version}`;
  const links = linksOf(serves).map(
    ([path, what]) =>
      `<tr><td><a href="${path.slice(1)}"><code>${path}</code></a></td><td>${escapeHtml(what)}</td></tr>`,
  );
  return {
    title,
    content: `<h1>${escapeHtml(title)}</h1><p>${escapeHtml(WHAT.join(' '))}</p><table>${links.join('')}</table>
<p>Where tokens are in use, all of it needs one, but for the errors and /healthz.</p>`,
  };
}

/** For programs: the same. */
export function frontDocument({ version, serves }: About): Record<string, unknown> {
  return {
    name: NAME,
    ...(version === null ? {} : { version }),
    description: WHAT.join(' '),
    links: linksOf(serves).map(([path]) => path),
  };
}

function linksOf(serves: About['serves']): Array<[path: string, what: string]> {
  return Object.entries(LINKS).filter(([path]) => serves(path));
}
