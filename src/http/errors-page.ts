import { readPacked } from '../packed-file.ts';
import type { Page } from './html-page.ts';

const CODE_CELL = /^<td><code>([a-z_]+)<\/code><\/td>/;

/**
 * docs/errors.md as a page, in which each code is an anchor: that is where the `type` of a problem leads. It is made when it is first
 * asked for, and kept.
 */
export function errorsPage(): () => Promise<Page> {
  let made: Promise<Page> | null = null;
  return () => {
    made ??= readPacked('docs/errors.md')
      .then(render)
      .catch((error: unknown) => {
        made = null;
        throw error;
      });
    return made;
  };
}

async function render(text: string): Promise<Page> {
  // Few services are ever asked.
  const { Marked } = await import('marked');
  const marked = new Marked({
    async: false,
    renderer: {
      tablerow({ text: cells }) {
        const code = CODE_CELL.exec(cells.trim())?.[1];
        return `<tr${code === undefined ? '' : ` id="${code}"`}>${cells}</tr>\n`;
      },
      // The other pages are packed with the service, and not served.
      link({ href, tokens }) {
        const shown = this.parser.parseInline(tokens);
        return href.startsWith('#')
          ? `<a href="${href}">${shown}</a>`
          : `${shown} <small>(docs/${href.split('#')[0]})</small>`;
      },
    },
  });
  return { title: 'Errors of artifact-store', content: marked.parse(text) as string };
}
