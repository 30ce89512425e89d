import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type IdPrefix, isId } from './ids.ts';

/**
 * A secret that its holder shows: a prefix, the hex digits of its id, 24 random bytes in hex, and a checksum, so that scanners for
 * leaked secrets know one by its look, can tell a real one from an example, and whoever finds one can name it for its revocation.
 * All of it is secret; the service keeps its SHA-256 alone. A plain hash is enough: nobody can try 2^192 secrets.
 */
export interface TokenForm<Id extends string> {
  /** A new one. @returns the token itself, to be shown once */
  create(id: Id): string;
  /** The id in a token's text; null: it is none, or was mistyped. It says nothing of whether there is such a token. */
  idOf(text: string): Id | null;
}

const SECRET_BYTES = 24;
/** The checksum: the first 4 bytes, in hex, of the SHA-256 of everything before it. */
const CHECKSUM_DIGITS = 8;

/** @param prefix ends with `_` @param ids of the ids that such tokens have */
export function tokenForm<Id extends string>(prefix: string, ids: IdPrefix): TokenForm<Id> {
  const form = new RegExp(`^${prefix}([0-9a-f]{32})[0-9a-f]{48}[0-9a-f]{8}$`);
  return {
    create(id) {
      const body = `${prefix}${id.slice(ids.length + 1)}${randomBytes(SECRET_BYTES).toString('hex')}`;
      return body + checksum(body);
    },
    idOf(text) {
      const digits = form.exec(text)?.[1];
      const body = text.slice(0, -CHECKSUM_DIGITS);
      if (digits === undefined || checksum(body) !== text.slice(-CHECKSUM_DIGITS)) return null;
      const id = `${ids}_${digits}`;
      return isId(ids, id) ? (id as Id) : null;
    },
  };
}

/** What is kept of it: 32 bytes. */
export function hashOfToken(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/** In constant time. @param kept null: there is no such token; it takes as long */
export function isToken(text: string, kept: Uint8Array | null): boolean {
  const equal = timingSafeEqual(hashOfToken(text), kept ?? NO_HASH);
  return equal && kept !== null;
}

const NO_HASH = new Uint8Array(32);

/** Whether a token can be used now. Times in ms. */
export function isLive(token: { expires_at: number | null; revoked_at: number | null }, now: number): boolean {
  return token.revoked_at === null && (token.expires_at === null || now < token.expires_at);
}

function checksum(text: string): string {
  return hash('sha256', text, 'hex').slice(0, CHECKSUM_DIGITS);
}
