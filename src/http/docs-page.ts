import { escapeHtml, type Page } from './html-page.ts';
import type { Route } from './route.ts';
import { accessText } from './route-scopes.ts';

/** Lists every operation. */
export function docsPage(routes: readonly Route[], version: string): Page {
  const tags = [...new Set(routes.map((route) => route.tag))];
  const sections = tags.map((tag) => {
    const rows = routes
      .filter((route) => route.tag === tag)
      .map(
        (route) =>
          `<tr><td><code>${route.method.toUpperCase()}</code></td><td><code>${escapeHtml(route.path)}</code></td><td>${escapeHtml(route.summary)}</td><td>${escapeHtml(accessText(route.access))}</td></tr>`,
      );
    return `<h2>${tag}</h2><table>${rows.join('')}</table>`;
  });
  const title = `artifact-store ${version}`;
  return {
    title,
    content: `<h1>${escapeHtml(title)}</h1>
<p>The machine-readable description is <a href="openapi.json">/openapi.json</a>; <a href="docs/errors">/docs/errors</a> says what to do about
each error.</p>${sections.join('')}`,
  };
}
