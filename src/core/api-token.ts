import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isId, type TokenId } from './ids.ts';

/**
 * A token of the API: `arts_`, the hex digits of its id, 24 random bytes in hex, and a checksum, so that scanners for leaked secrets know
 * one by its look, can tell a real one from an example, and whoever finds one can name it for its revocation. All of it is secret; the
 * service keeps its SHA-256 alone. A plain hash is enough: nobody can try 2^192 secrets.
 */
const PREFIX = 'arts_';
const SECRET_BYTES = 24;
/** The checksum: the first 4 bytes, in hex, of the SHA-256 of everything before it. */
const CHECKSUM_DIGITS = 8;
const TOKEN = /^arts_([0-9a-f]{32})[0-9a-f]{48}[0-9a-f]{8}$/;

/** A new one. @returns the token itself, to be shown once */
export function newApiToken(id: TokenId): string {
  const body = `${PREFIX}${id.slice('tok_'.length)}${randomBytes(SECRET_BYTES).toString('hex')}`;
  return body + checksum(body);
}

/** The id in a token's text; null: it is no token of the API, or was mistyped. It says nothing of whether there is such a token. */
export function idOfApiToken(text: string): TokenId | null {
  const digits = TOKEN.exec(text)?.[1];
  const body = text.slice(0, -CHECKSUM_DIGITS);
  if (digits === undefined || checksum(body) !== text.slice(-CHECKSUM_DIGITS)) return null;
  const id = `tok_${digits}`;
  return isId('tok', id) ? (id as TokenId) : null;
}

/** What is kept of it: 32 bytes. */
export function hashOfApiToken(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** In constant time. @param kept null: there is no such token; it takes as long */
export function isApiToken(text: string, kept: Uint8Array | null): boolean {
  const equal = timingSafeEqual(hashOfApiToken(text), kept ?? NO_HASH);
  return equal && kept !== null;
}

const NO_HASH = new Uint8Array(32);

/** Whether a token can be used now. Times in ms. */
export function isLive(token: { expires_at: number | null; revoked_at: number | null }, now: number): boolean {
  return token.revoked_at === null && (token.expires_at === null || now < token.expires_at);
}

/** How a token stands in the audit: its name, and its id, which nobody else's name can be. */
export function actorOfToken({ id, name }: { id: TokenId; name: string }): string {
  return `token:${name}:${id}`;
}

function checksum(text: string): string {
  return hash('sha256', text, 'hex').slice(0, CHECKSUM_DIGITS);
}
