import { type ObjectKey, receiptKey } from '../blobs/key-layout.ts';
import { digestHex } from '../core/digest.ts';
import { EnvelopeError, parseEnvelope } from '../core/dsse.ts';
import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import { leafHash } from '../core/merkle.ts';
import { type Deletion, deletionStatement, openDeletion, signDeletion } from '../core/receipt.ts';
import { ENVELOPE_MAX_BYTES, type Subject } from '../core/statement.ts';
import type { PackageRecord } from '../registry/packages.ts';
import type { ReceiptEvent } from '../registry/retention.ts';
import { readPackage } from './access.ts';
import { entryOf } from './log-entry.ts';
import { readSmall } from './read-small.ts';
import type { Caller, Services, WithObjects } from './services.ts';
import { knownKeys, signingKey } from './signing-keys.ts';
import { writeSigned } from './write-signed.ts';

const BATCH = 100;

/**
 * Writes the receipts of a package's deletions that storage does not have yet. One whose audit event is not in the log yet, because events
 * before it are still being added, or the log cannot go on, is left to recovery: the deletion stands in any case. Any number of times.
 * @returns whether storage has all of them @throws StoreError of storage
 */
export async function writeReceipts(services: Services<WithObjects>, id: PackageId): Promise<boolean> {
  const { read } = services.registry;
  const events = await read.retention.withoutReceipt(id, BATCH);
  if (events.length === 0) return true;
  try {
    await services.auditLog.keepUp();
  } catch (error) {
    services.log.warn({ err: error, package: id }, 'a receipt waits for the audit log');
    return false;
  }
  const pkg = (await read.packages.get(id)) as PackageRecord;
  for (const event of events) {
    const place = await placeOf(services, event);
    if (place === null) return false;
    await write(services, pkg, event, place);
    await services.registry.transaction(async ({ retention, now }) => retention.setReceipt(event.id, await now()));
  }
  return events.length < BATCH;
}

/**
 * The receipt of a deletion, as it stands in storage: a DSSE envelope. @param decision of which one; left out: of the last one
 * @throws StoreError receipt_not_found; unavailable: it is being written; integrity_failure
 */
export async function readReceipt(
  services: Services<WithObjects>,
  caller: Caller,
  id: PackageId,
  decision?: string,
): Promise<Buffer> {
  const { read } = services.registry;
  const { finalized_at } = await readPackage(read, caller, id);
  const deletions = (await read.retention.events(id)).filter(
    ({ action }) => action === 'files_deleted' || (action === 'deleted' && finalized_at !== null),
  );
  const event = decision === undefined ? deletions.at(-1) : deletions.find((each) => each.id === decision);
  if (event === undefined) {
    const what =
      decision === undefined
        ? `Nothing of ${id} was deleted`
        : `No deletion of ${id} is called ${decision.slice(0, 100)}`;
    throw new StoreError('receipt_not_found', `${what}: a receipt is given for what was finalized.`);
  }
  await writeReceipts(services, id);
  const key = receiptKey(id, event.id);
  if ((await services.blobs.objects.stat({ key, versionId: null })) === null) {
    throw new StoreError('unavailable', 'The receipt has not been written yet: ask again in a moment.');
  }
  return checked(services, key, event.id);
}

async function checked(services: Services<WithObjects>, key: ObjectKey, decision: string): Promise<Buffer> {
  const bytes = await readSmall(services.blobs.objects, key, ENVELOPE_MAX_BYTES);
  try {
    if (openDeletion(parseEnvelope(bytes), await knownKeys(services)).predicate.decision === decision) return bytes;
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
  }
  throw new StoreError('integrity_failure', `${key} is not the receipt that the service signed.`);
}

async function placeOf(
  { registry, auditLog }: Services,
  { receipt_event }: ReceiptEvent,
): Promise<Deletion['log'] | null> {
  const { read } = registry;
  const event = await read.audit.find(receipt_event, { all: true });
  const index = event && (await read.log.placeOf(event.seq));
  if (event === null || index === null) return null;
  const leaf_sha256 = leafHash(entryOf(event)).toString('hex');
  return { origin: auditLog.origin(), event: event.id, index, leaf_sha256 };
}

async function write(
  services: Services<WithObjects>,
  pkg: PackageRecord,
  event: ReceiptEvent,
  log: Deletion['log'],
): Promise<void> {
  const { id, name, producer, external_id, manifest_digest, manifest_size, retention_class, file_rules } = pkg;
  if (manifest_digest === null || manifest_size === null) return;
  const isWhole = event.action === 'deleted';
  const expires = event.expires_before === null ? null : new Date(event.expires_before).toISOString();
  const deletion = {
    action: isWhole ? 'package_deleted' : 'files_deleted',
    package: { id, name, producer, external_id },
    manifest: { sha256: digestHex(manifest_digest), size: manifest_size },
    decision: event.id,
    at: new Date(event.at).toISOString(),
    actor: event.actor,
    reason: event.reason,
    rule: { retention_class, ...(isWhole ? { expires_at: expires } : { file_rules }) },
    log,
    store_id: services.storeId(),
  } as const;
  const files = isWhole ? null : await removed(services, id, event.seq);
  const envelope = signDeletion(deletionStatement(deletion, files), await signingKey(services));
  await writeSigned(
    services,
    receiptKey(id, event.id),
    envelope,
    (standing, keys) => openDeletion(standing, keys).predicate.decision === event.id,
  );
}

async function removed({ registry }: Services, id: PackageId, seq: number): Promise<Subject[]> {
  const { files } = registry.read;
  const paths: LogicalPath[] = await files.pathsDeletedBy(seq);
  const found = await files.atPaths(id, paths);
  return [...found.values()].map(({ path, digest }) => ({ name: path, digest: { sha256: digestHex(digest) } }));
}
