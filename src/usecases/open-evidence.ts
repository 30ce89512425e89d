import { StoreError } from '../core/errors.ts';
import { EVIDENCE_LIFE_MS, type EvidenceTokens } from '../core/evidence-token.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { actorOfShare } from '../core/share-token.ts';
import { isLive } from '../core/token-form.ts';
import type { ShareRecord } from '../registry/shares.ts';
import { noShare } from './open-share.ts';
import { type ReadableFile, readFile } from './read-file.ts';
import { type Caller, callerOf, type Services, type WithReader } from './services.ts';

type EvidenceServices = Services<WithReader> & { evidence: EvidenceTokens };

/**
 * What stands in the path of a package's evidence, for who may read it now: good for ten minutes, and no longer than the share by which
 * it is read. @param share null: somebody who is signed in
 */
export async function signEvidence(
  { registry, evidence }: EvidenceServices,
  packageId: PackageId,
  share: ShareRecord | null,
): Promise<string> {
  const expires = Math.min(
    (await registry.read.now()) + EVIDENCE_LIFE_MS,
    share?.expires_at ?? Number.MAX_SAFE_INTEGER,
  );
  return evidence.sign({ packageId, path: share?.path ?? null, shareId: share?.id ?? null, expires });
}

/** The file that an address of evidence names. @throws StoreError invalid_signature, url_expired, share_not_found, and what readFile throws */
export async function openEvidence(
  services: EvidenceServices,
  token: string,
  path: LogicalPath,
): Promise<ReadableFile> {
  const { read } = services.registry;
  const now = await read.now();
  const grant = services.evidence.verify(token, now);
  if (grant.shareId !== null) {
    const share = await read.shares.get(grant.shareId);
    if (share === null || !isLive(share, now)) throw noShare();
  }
  if (grant.path !== null && grant.path !== path) {
    throw new StoreError('file_not_found', `This link shows another file than ${JSON.stringify(path)}.`, { path });
  }
  return readFile(services, readerOf(grant.shareId), grant.packageId, path);
}

/** The signature names the package: nothing else is read. */
function readerOf(shareId: ShareRecord['id'] | null): Caller {
  const actor = shareId === null ? 'viewer' : actorOfShare(shareId);
  return callerOf({ actor, scopes: ['packages:read'], producers: null });
}
