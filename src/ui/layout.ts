import { type Html, html } from './html.ts';
import { STYLES, STYLES_SOURCE } from './styles.ts';

/** Who looks, for the page's head. Null: nobody is signed in. */
export interface Viewer {
  actor: string;
  /** There is a session that can be ended. */
  signedIn: boolean;
  /** May look at the whole store's state. */
  operates: boolean;
}

export interface Crumb {
  text: string;
  href: string;
}

export interface PageParts {
  title: string;
  who: Viewer | null;
  /** Which part of the site this is. */
  section?: 'packages' | 'operator' | undefined;
  /** Where this is, from the whole to the part; the page itself is not among them. */
  trail?: readonly Crumb[] | undefined;
  body: Html;
}

/** No script at all; the one style is named by its digest; frames only from the service itself, which sandboxes what is in them. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'self' ${STYLES_SOURCE}`,
  "img-src 'self'",
  "frame-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Of every page. With `no-referrer` browsers would send forms with the origin `null` (Fetch standard, 3.2). */
export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy': PAGE_POLICY,
  'Cache-Control': 'private, no-store',
  'Referrer-Policy': 'same-origin',
  'X-Content-Type-Options': 'nosniff',
  'X-Robots-Tag': 'noindex, nofollow',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
};

const MARK_PATH = 'M10 1.5 17.5 5.5V14.5L10 18.5 2.5 14.5V5.5ZM2.5 5.5 10 9.5 17.5 5.5M10 9.5V18.5';

export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><path d="${MARK_PATH}" fill="none" stroke="#0f8a86" stroke-width="1.8" stroke-linejoin="round"/></svg>`;

/** A whole page. It needs no script. */
export function layout({ title, who, section, trail = [], body }: PageParts): string {
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title === '' ? '' : `${title} – `}artifact-store</title>
<link rel="icon" href="/ui/icon.svg" type="image/svg+xml">
<style>${STYLE_MARKUP}</style>
</head>
<body>
<a class="skip" href="#main">To the content</a>
<header class="bar"><div>
<a class="brand" href="/ui"><svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true"><path d="${MARK_PATH}"/></svg>artifact-store</a>
${who === null ? null : head(who, section)}
</div></header>
<main id="main" tabindex="-1">
${trail.length === 0 ? null : crumbs(trail)}
${body}
</main>
</body>
</html>
`;
  return page.toString();
}

function head(who: Viewer, section: PageParts['section']): Html {
  const link = (href: string, text: string, here: boolean): Html =>
    html`<li><a href="${href}"${here ? html` aria-current="page"` : null}>${text}</a></li>`;
  return html`<nav aria-label="Parts of the store"><ul>
${link('/ui', 'Packages', section === 'packages')}
${who.operates ? link('/ui/operator', 'Operator', section === 'operator') : null}
</ul></nav>
<div class="who"><span>${who.actor}</span>${
    who.signedIn
      ? html`<form method="post" action="/ui/logout"><button class="quiet" type="submit">Sign out</button></form>`
      : null
  }</div>`;
}

function crumbs(trail: readonly Crumb[]): Html {
  const steps = trail.map(({ text, href }) => html`<li><a href="${href}">${text}</a></li>`);
  return html`<nav aria-label="Where this is"><ol class="trail">${steps}</ol></nav>`;
}

/** Ours, with no text of anybody: it is not escaped, or the digest would not be its own. */
const STYLE_MARKUP = Object.assign(new String(STYLES), { isEscaped: true as const }) as unknown as Html;
