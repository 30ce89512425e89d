import { createHmac, timingSafeEqual } from 'node:crypto';
import { StoreError } from './errors.ts';
import { isId, type PackageId, type ShareId } from './ids.ts';
import type { LogicalPath } from './logical-path.ts';

/** How long an address under which a page loads evidence is good for, ms. */
export const EVIDENCE_LIFE_MS = 600_000;

/** What such an address allows: to read files of one package. */
export interface EvidenceGrant {
  packageId: PackageId;
  /** The one file; null: all of the package. */
  path: LogicalPath | null;
  /** By which share it is read, so that it ends with it; null: by somebody who is signed in. */
  shareId: ShareId | null;
  /** ms */
  expires: number;
}

/**
 * Signs what stands in the path of evidence, since a frame of an opaque origin sends no cookies: HMAC-SHA256 over what it allows and until
 * when. Nothing of it is secret but the whole.
 */
export interface EvidenceTokens {
  sign(grant: EvidenceGrant): string;
  /** @throws StoreError invalid_signature, then url_expired */
  verify(token: string, now: number): EvidenceGrant;
}

/** @param key of this purpose alone */
export function evidenceTokens(key: Uint8Array): EvidenceTokens {
  const mac = (payload: string): Buffer => createHmac('sha256', key).update(`evidence\n${payload}`).digest();
  return {
    sign({ packageId, path, shareId, expires }) {
      const payload = Buffer.from(JSON.stringify([packageId, path, shareId, expires])).toString('base64url');
      return `${payload}.${mac(payload).toString('base64url')}`;
    },
    verify(token, now) {
      const [payload = '', signature = '', more] = token.split('.');
      const theirs = Buffer.from(signature, 'base64url');
      const ours = mac(payload);
      const exact = more === undefined && theirs.length === ours.length && theirs.toString('base64url') === signature;
      if (!exact || !timingSafeEqual(ours, theirs)) {
        throw new StoreError('invalid_signature', 'This address was altered: open the page again that it is of.');
      }
      const [packageId, path, shareId, expires] = JSON.parse(Buffer.from(payload, 'base64url').toString());
      if (!isId('pkg', packageId) || now >= expires) {
        throw new StoreError('url_expired', 'This address has expired: open the page again that it is of.');
      }
      return { packageId, path, shareId, expires };
    },
  };
}
