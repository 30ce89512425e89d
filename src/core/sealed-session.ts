import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/**
 * What a browser keeps while somebody is signed in: a bearer token, sealed (AES-256-GCM), so that who sees the cookie has no token, and
 * who changes it has nothing. Any replica with the same key opens it.
 */
export interface SealedSessions {
  /** @param until ms */
  seal(token: string, until: number): string;
  /** The token; null: it is over, or nothing that this service has sealed. @param now ms */
  open(sealed: string, now: number): string | null;
}

const CIPHER = 'aes-256-gcm';
const PURPOSE = Buffer.from('artifact-store session v1');
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** @param key 32 bytes */
export function sealedSessions(key: Uint8Array): SealedSessions {
  return {
    seal(token, until) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce).setAAD(PURPOSE);
      const text = Buffer.concat([cipher.update(`${until}\n${token}`, 'utf8'), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url');
    },
    open(sealed, now) {
      const bytes = Buffer.from(sealed, 'base64url');
      if (bytes.length <= NONCE_BYTES + TAG_BYTES) return null;
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(PURPOSE).setAuthTag(bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      try {
        const text =
          decipher.update(bytes.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
        const end = text.indexOf('\n');
        return Number(text.slice(0, end)) > now ? text.slice(end + 1) : null;
      } catch {
        return null;
      }
    },
  };
}
