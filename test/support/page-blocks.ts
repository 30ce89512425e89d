import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

const DOCS = resolve(import.meta.dirname, '../../docs');

/** The code blocks of a page of docs/ that are in one language, in their order; of all its sections, or of one. */
export async function blocksOf(page: string, language: string, heading = ''): Promise<string[]> {
  const text = await readFile(resolve(DOCS, page), 'utf8');
  const start = heading === '' ? 0 : text.indexOf(`\n${heading}\n`);
  if (start === -1) throw new Error(`docs/${page} has no heading ${heading}.`);
  const found = text.slice(start).matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'));
  const blocks = [...found].map(([, block]) => block as string);
  if (blocks.length === 0) throw new Error(`docs/${page} has no blocks of ${language}.`);
  return blocks;
}
