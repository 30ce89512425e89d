import { setImmediate as nextTurn } from 'node:timers/promises';
import type { SignedRequest, UploadHandle } from '../blobs/blob-store.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { UploadRecord } from '../registry/upload-record.ts';
import type { Services, WithUploads } from './services.ts';

/** A part and the request that sends it. */
export interface PartRequest extends PlannedPart {
  received: boolean;
  request: SignedRequest;
}

const SIGNED_A_TURN = 100;

/** When URLs that are signed now end, ms. */
export async function urlExpiry(services: Services): Promise<number> {
  return (await services.registry.read.now()) + services.limits.url_lifetime * 1_000;
}

/** The numbers of those that storage has; null: it knows no such upload. */
export async function receivedParts(
  services: Services<WithUploads>,
  upload: UploadRecord,
  handle: UploadHandle,
  parts: readonly PlannedPart[],
): Promise<Set<number> | null> {
  // Completion has begun, so all of them were there.
  const arrived = upload.state === 'open' ? await services.blobs.uploads.listParts(handle) : parts;
  return arrived && new Set(arrived.map((part) => part.number));
}

export async function signParts(
  services: Services<WithUploads>,
  handle: UploadHandle,
  parts: readonly PlannedPart[],
  received: ReadonlySet<number>,
  expiresAt: number,
): Promise<PartRequest[]> {
  const requests: PartRequest[] = [];
  for (const [index, part] of parts.entries()) {
    // A signature waits for nothing but the processor: others get their turn between.
    if (index > 0 && index % SIGNED_A_TURN === 0) await nextTurn();
    const request = await services.blobs.uploads.signPart(handle, part, expiresAt);
    requests.push({ ...part, received: received.has(part.number), request });
  }
  return requests;
}
