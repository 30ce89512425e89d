import type { JsonObject } from './canonical-json.ts';
import type { ManifestFile } from './manifest.ts';

/** What stands in a manifest behind its files. */
export interface ManifestRest {
  package: JsonObject;
  schema: string;
}

const OPENING = '{"files":[';

/**
 * Reads a manifest as it is written, one file at a time, however many there are: RFC 8785 of `{files, package, schema}`.
 * @param onRest is given what follows the files, when they have been read @throws SyntaxError when it is no manifest
 */
export async function* readManifestFiles(
  bytes: AsyncIterable<Uint8Array>,
  onRest: (rest: ManifestRest) => void,
): AsyncGenerator<ManifestFile> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  let opened = false;
  let inFiles = true;
  for await (const chunk of bytes) {
    text += decoder.decode(chunk, { stream: true });
    if (!opened && text.length >= OPENING.length) {
      if (!text.startsWith(OPENING)) throw new SyntaxError('this is no manifest');
      text = text.slice(OPENING.length);
      opened = true;
    }
    if (!opened || !inFiles) continue;
    const { values, rest, ended } = cutObjects(text);
    for (const value of values) yield JSON.parse(value) as ManifestFile;
    text = rest;
    inFiles = !ended;
  }
  text += decoder.decode();
  if (!opened || inFiles) throw new SyntaxError('the list of files does not end');
  // What is left is `,"package":…}`.
  onRest(JSON.parse(`{${text.slice(1)}`) as ManifestRest);
}

/** The objects that stand whole at the beginning of a JSON array's inside. @param text `{…},{…},{…` or `{…}],…` */
function cutObjects(text: string): { values: string[]; rest: string; ended: boolean } {
  const values: string[] = [];
  let start = 0;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === '{') {
      if (depth === 0) start = at;
      depth += 1;
    } else if (char === '}') {
      depth -= 1;
      if (depth === 0) {
        values.push(text.slice(start, at + 1));
        start = at + 1;
      }
    } else if (char === ']' && depth === 0) return { values, rest: text.slice(at + 1), ended: true };
  }
  return { values, rest: text.slice(start), ended: false };
}
