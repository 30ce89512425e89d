import { createHash } from 'node:crypto';
import type { Context } from 'koa';

/** A page's title as text, and its content as HTML. */
export interface Page {
  title: string;
  content: string;
}

const STYLE = `
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%}
td,th{padding:.3rem .6rem;border-bottom:1px solid #8884;vertical-align:top;text-align:left}
code{overflow-wrap:anywhere}
:target{background:#fc03;outline:2px solid #c80}
`;

/** Nothing is loaded, sent or framed; the one style is known by its hash. */
const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Answers with a page that has neither scripts nor anything from elsewhere. Its links are relative: a proxy may put a path before all of them. */
export function sendPage(ctx: Context, { title, content }: Page): void {
  ctx.set({ 'Content-Security-Policy': POLICY, 'Referrer-Policy': 'no-referrer' });
  ctx.body = `<!doctype html><html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<meta name="viewport" content="width=device-width"><style>${STYLE}</style>${content}</html>
`;
  ctx.type = 'html';
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** For content, and for attributes in quotes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}
