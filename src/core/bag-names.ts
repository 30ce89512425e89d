/** How BagIt (RFC 8493) writes names: shared by whoever writes a bag and whoever reads one. */

export const DECLARATION_FILE = 'bagit.txt';
export const INFO_FILE = 'bag-info.txt';
export const FETCH_FILE = 'fetch.txt';
export const PAYLOAD_FOLDER = 'data';

const TO_ENCODE = /[\r\n%]/g;
const ENCODED = /%(0[AaDd]|25)/g;
/** Before version 1.0 a percent sign stood for itself. */
const ENCODED_BREAK = /%(0[AaDd])/g;

/** A name in a manifest: line breaks, and the percent sign with which they are written. */
export function encodeBagPath(path: string): string {
  return path.replace(TO_ENCODE, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

/** The name that a manifest of a bag of that version means. Other percent signs stand for themselves. */
export function decodeBagPath(text: string, { encodesPercent }: { encodesPercent: boolean }): string {
  return text.replace(encodesPercent ? ENCODED : ENCODED_BREAK, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** @param hex the digest alone @param path in the bag */
export function bagManifestLine(hex: string, path: string): string {
  return `${hex}  ${encodeBagPath(path)}\n`;
}

const MANIFEST = /^(tag)?manifest-([a-z0-9]+)\.txt$/i;

/** What a file in the bag's own folder lists, if it is a manifest. */
export function bagManifestName(name: string): { lists: 'payload' | 'tags'; algorithm: string } | null {
  const match = MANIFEST.exec(name);
  if (match === null) return null;
  return { lists: match[1] === undefined ? 'payload' : 'tags', algorithm: (match[2] as string).toLowerCase() };
}

/** Files that say what the bag is, and not what is in it: every writer of bags writes its own. */
export function isBagsOwnFile(path: string): boolean {
  const name = path.toLowerCase();
  return name === DECLARATION_FILE || name === INFO_FILE || name === FETCH_FILE || bagManifestName(name) !== null;
}
