import { hash, randomBytes } from 'node:crypto';
import { StoreError } from './errors.ts';

export type IdPrefix = 'pkg' | 'upl' | 'obj' | 'hold' | 'evt' | 'sto' | 'swp' | 'fix' | 'tok' | 'shr' | 'whk';
export type PackageId = string & { readonly __brand: 'PackageId' };
export type UploadId = string & { readonly __brand: 'UploadId' };
export type WebhookId = string & { readonly __brand: 'WebhookId' };
export type TokenId = string & { readonly __brand: 'TokenId' };
export type ShareId = string & { readonly __brand: 'ShareId' };

/**
 * UUIDv7 (RFC 9562) as 32 hex digits behind a prefix: sorts by time of creation, one word to select and copy.
 * `now` is the registry's time in ms, so that ids sort the same whichever replica made them.
 */
export function newId(prefix: IdPrefix, now: number): string {
  return idOf(prefix, now, randomBytes(16));
}

/** The same id whenever it is made of the same text, for what is found again without the id that it once had. @param time ms */
export function derivedId(prefix: IdPrefix, time: number, text: string): string {
  return idOf(prefix, time, hash('sha256', text, 'buffer').subarray(0, 16));
}

function idOf(prefix: IdPrefix, time: number, bytes: Buffer): string {
  bytes.writeUIntBE(time, 0, 6);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return `${prefix}_${bytes.toString('hex')}`;
}

/** The smallest id that could have been made at `time` (ms): a bound for keyset queries by time. */
export function idFloor(prefix: IdPrefix, time: number): string {
  return `${prefix}_${Math.max(0, time).toString(16).padStart(12, '0')}`;
}

const ID = /^(pkg|upl|obj|hold|evt|sto|swp|fix|tok|shr|whk)_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/;

export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(`${prefix}_`) && ID.test(text);
}

/** An id that cannot exist is answered as one that does not. @throws StoreError package_not_found */
export function parsePackageId(text: string): PackageId {
  if (isId('pkg', text)) return text as PackageId;
  throw new StoreError('package_not_found', `There is no package ${JSON.stringify(text.slice(0, 100))}.`);
}

/** @throws StoreError upload_not_found */
export function parseUploadId(text: string): UploadId {
  if (isId('upl', text)) return text as UploadId;
  throw new StoreError('upload_not_found', `There is no upload ${JSON.stringify(text.slice(0, 100))}.`);
}

/** @throws StoreError token_not_found */
export function parseTokenId(text: string): TokenId {
  if (isId('tok', text)) return text as TokenId;
  throw new StoreError('token_not_found', `There is no token ${JSON.stringify(text.slice(0, 100))}.`);
}

/** @throws StoreError share_not_found */
export function parseShareId(text: string): ShareId {
  if (isId('shr', text)) return text as ShareId;
  throw new StoreError('share_not_found', `There is no share ${JSON.stringify(text.slice(0, 100))}.`);
}

/** @throws StoreError webhook_not_found */
export function parseWebhookId(text: string): WebhookId {
  if (isId('whk', text)) return text as WebhookId;
  throw new StoreError('webhook_not_found', `There is no webhook ${JSON.stringify(text.slice(0, 100))}.`);
}

/** When an id was made, ms. */
export function timeOfId(id: string): number {
  return Number.parseInt(id.slice(id.indexOf('_') + 1).slice(0, 12), 16);
}
