import { decisionKey, type ObjectKey } from '../blobs/key-layout.ts';
import { agree, DECISION_MAX_BYTES, type Decision, decisionBytes, parseDecision } from '../core/decision.ts';
import { isStoreError, StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import { fileRulesOf } from '../registry/file-rules.ts';
import type { Tables } from '../registry/registry.ts';
import type { UnwrittenEvent } from '../registry/retention.ts';
import { lockInStorage } from './lock-objects.ts';
import { mapLimit } from './map-limit.ts';
import { onePiece } from './one-piece.ts';
import { readSmall } from './read-small.ts';
import { writeReceipts } from './receipts.ts';
import type { Services, WithDecisions, WithObjects, WithReader } from './services.ts';
import { versionOf } from './version-of.ts';

/** How many decisions are written at once. */
const CONCURRENCY = 8;
/** There are more of a package only after an upgrade. */
const BATCH = 100;

/**
 * A change of how long a package is kept: one transaction in the registry, which decides; then storage has it too, beside the
 * manifest, and locks what the package needs as long as it says; then it may be acknowledged. After a crash in between recovery goes on.
 * For what is harmless to ask again.
 * @throws StoreError unavailable, no_space, … when storage could not be told
 */
export async function decide<T>(
  services: Services<WithDecisions>,
  id: PackageId,
  work: (tables: Tables) => Promise<T>,
  tell = tellStorage,
): Promise<T> {
  const result = await services.registry.transaction(work);
  await tell(services, id);
  return result;
}

/** The same for what would happen twice if it were asked again. @throws StoreError decision_unwritten */
export function decideOnce<T>(
  services: Services<WithDecisions>,
  id: PackageId,
  work: (tables: Tables) => Promise<T>,
): Promise<T> {
  return decide(services, id, work, async () => {
    try {
      await tellStorage(services, id);
    } catch (cause) {
      services.log.error({ err: cause, package: id }, 'storage could not be told of a decision');
      throw new StoreError(
        'decision_unwritten',
        `The registry has recorded it, but storage could not be told yet: the service goes on trying. Look at the retention of ${id} before you ask again.`,
        { package_id: id },
        { cause },
      );
    }
  });
}

/** All that storage does not know yet of how long a package is kept. */
export async function tellStorage(services: Services<WithDecisions>, id: PackageId): Promise<void> {
  await writeDecisions(services, id);
  await lockInStorage(services, id);
  await writeReceipts(services, id);
}

/** Writes all that storage does not have yet of a package's decisions. */
async function writeDecisions(services: Services<WithObjects>, id: PackageId): Promise<void> {
  for (;;) {
    const events = await services.registry.read.retention.unwritten(id, BATCH);
    await write(services, events);
    if (events.length < BATCH) return;
  }
}

/** Any number of times, in any order: each has its key, which only ever gets these bytes. */
async function write(
  { blobs, registry, log }: Services<WithObjects>,
  events: readonly UnwrittenEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const written = await mapLimit(events, CONCURRENCY, async (event) => {
    const paths = event.action === 'files_deleted' ? await registry.read.files.pathsDeletedBy(event.seq) : [];
    const decision = decisionOf(event, paths);
    const key = decisionKey(event.package_id, event.id);
    try {
      return {
        id: event.id,
        version_id: (await blobs.objects.write(key, onePiece(decisionBytes(decision)))).versionId,
      };
    } catch (error) {
      if (!isStoreError(error, 'integrity_failure') || !(await stands(blobs, key, decision))) throw error;
      log.warn({ decision: event.id }, 'the decision was written by another version, and stays as it is');
      return { id: event.id, version_id: await versionOf(blobs.objects, { key, versionId: null }) };
    }
  });
  await registry.transaction(({ retention }) => retention.setWritten(written));
}

/** Another version, which was stopped before it noted that, may have said the same in other words. */
async function stands(blobs: WithReader, key: ObjectKey, decision: Decision): Promise<boolean> {
  const standing = parseDecision(await readSmall(blobs.objects, key, DECISION_MAX_BYTES));
  return standing !== null && agree(decision, standing);
}

/** @param paths that it removed */
function decisionOf(event: UnwrittenEvent, paths: readonly string[]): Decision {
  const { id, package_id, action, at, actor, reason } = event;
  const common = { id, package_id, action, at: new Date(at).toISOString(), actor, reason };
  if (event.hold_id !== null) return { ...common, hold: { id: event.hold_id, reference: event.hold_reference } };
  if (action === 'files_deleted') return { ...common, paths };
  const expires = action === 'deleted' ? event.expires_before : event.expires_after;
  const expires_at = expires === null ? null : new Date(expires).toISOString();
  return { ...common, expires_at, ...(action === 'finalized' ? finalizedFacts(event) : {}) };
}

function finalizedFacts({ retention_days, file_rules, created_by, manifest_digest, stored_size }: UnwrittenEvent) {
  const rules = fileRulesOf(file_rules);
  return {
    retention_days,
    created_by,
    ...(rules.length === 0 ? {} : { file_rules: rules }),
    ...(manifest_digest === null ? {} : { manifest_digest }),
    ...(stored_size === null ? {} : { stored_size }),
  };
}
