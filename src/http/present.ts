import type * as wire from '../api/types.ts';
import { eventTime } from '../core/audit-entry.ts';
import { eligibility } from '../core/retention.ts';
import type { BlobHealth, Readiness, RegistryHealth } from '../usecases/check-readiness.ts';
import type { RetentionState } from '../usecases/get-retention.ts';
import type { PlannedUpload } from '../usecases/plan-uploads.ts';
import type {
  AuditRecord,
  FileRecord,
  HoldRecord,
  PackageRecord,
  RetentionEventRecord,
  UploadRecord,
} from '../usecases/records.ts';
import type { Caller } from '../usecases/services.ts';
import type { PartRequest } from '../usecases/sign-parts.ts';

/** Registry records as the wire shows them. */

export function iso(time: number): string {
  return new Date(time).toISOString();
}

/** To strangers, once tokens are in use. */
export function presentReady({ ready }: Readiness): wire.Readiness {
  return { status: ready ? 'ready' : 'not_ready', under_way: [] };
}

/** What everybody may know before: no folder, bucket, address, database or role is named. */
export function presentReadiness(
  { ready, registry, blob_store, store_id, under_way }: Readiness,
  version: string,
): wire.Readiness {
  const component = ({ kind, ok, latency_ms, error_code }: RegistryHealth | BlobHealth) => ({
    kind,
    ok,
    latency_ms,
    ...(ok ? {} : { error: `It does not work (${error_code}): \`artifact-store doctor\` with a token says why.` }),
  });
  return {
    status: ready ? 'ready' : 'not_ready',
    version,
    under_way,
    store_id,
    registry: { ...component(registry), schema: registry.schema },
    blob_store: {
      ...component(blob_store),
      free_bytes: blob_store.free_bytes,
      capabilities: blob_store.guarantees,
      findings: blob_store.findings
        .filter(({ held }) => !held)
        .map(({ short, advice }) => (advice === null ? short : `${short} ${advice}`)),
    },
  };
}

export function isoOrNull(time: number | null): string | null {
  return time === null ? null : iso(time);
}

/** @param caller in the sizes of shared objects one who may not read all of them would see what others stored */
export function presentPackage(pkg: PackageRecord, { reads }: Caller, now: number): wire.Package {
  return {
    id: pkg.id,
    name: pkg.name,
    producer: pkg.producer,
    subject: pkg.subject,
    external_id: pkg.external_id,
    status: pkg.status,
    metadata: pkg.metadata,
    file_count: pkg.file_count,
    total_size: pkg.total_size,
    deleted_file_count: pkg.deleted_file_count,
    stored_size: 'all' in reads && pkg.finalized_at !== null ? pkg.stored_size : null,
    manifest_digest: pkg.manifest_digest,
    retention: {
      class: pkg.retention_class,
      expires_at: isoOrNull(pkg.expires_at),
      held: pkg.active_holds > 0,
      eligible: eligibility(pkg, now).eligible,
    },
    supersedes: pkg.supersedes,
    superseded_by: pkg.superseded_by,
    reason: pkg.reason,
    created_at: iso(pkg.created_at),
    finalized_at: isoOrNull(pkg.finalized_at),
    deleted_at: isoOrNull(pkg.deleted_at),
  };
}

export function fileState(file: FileRecord): 'stored' | 'missing' {
  return file.proven && !file.lost ? 'stored' : 'missing';
}

export function presentFile(file: FileRecord): wire.File {
  const { path, digest, size, media_type, mtime, executable, deleted_at } = file;
  const state = deleted_at === null ? fileState(file) : 'deleted';
  return { path, digest, size, media_type, mtime, executable, state, deleted_at: isoOrNull(deleted_at) };
}

export function presentPart(part: PartRequest): wire.PartRequest {
  return {
    number: part.number,
    offset: part.offset,
    size: part.size,
    digest: part.digest,
    received: part.received,
    method: 'PUT',
    url: part.request.url,
    headers: part.request.headers,
    expires_at: iso(part.request.expiresAt),
  };
}

export function presentPlanned({ digest, upload }: PlannedUpload): wire.PlannedUpload {
  return {
    upload_id: upload?.id ?? null,
    digest,
    state: upload ? 'open' : 'stored',
    parts: upload?.parts.map(presentPart) ?? [],
  };
}

export function presentUpload(upload: UploadRecord, parts: wire.Upload['parts']): wire.Upload {
  return {
    upload_id: upload.id,
    package_id: upload.package_id,
    digest: upload.digest,
    size: upload.size,
    encoding: upload.encoding,
    stored_size: upload.stored_size,
    state: upload.state,
    parts,
    failure: upload.failure && { code: upload.failure.code, detail: upload.failure.detail },
    created_at: iso(upload.created_at),
    expires_at: iso(upload.expires_at),
  };
}

export function presentHold(hold: HoldRecord): wire.Hold {
  return {
    id: hold.id,
    reason: hold.reason,
    reference: hold.reference,
    placed_by: hold.placed_by,
    placed_at: iso(hold.placed_at),
    released_by: hold.released_by,
    released_at: isoOrNull(hold.released_at),
    release_reason: hold.release_reason,
  };
}

function presentRetentionEvent(event: RetentionEventRecord): wire.RetentionEvent {
  return {
    id: event.id,
    action: event.action,
    at: iso(event.at),
    actor: event.actor,
    reason: event.reason,
    expires_before: isoOrNull(event.expires_before),
    expires_after: isoOrNull(event.expires_after),
  };
}

export function presentRetention(state: RetentionState): wire.Retention {
  return {
    package_id: state.pkg.id,
    class: state.pkg.retention_class,
    expires_at: isoOrNull(state.pkg.expires_at),
    held: state.pkg.active_holds > 0,
    eligible: state.eligible,
    reason: state.reason,
    holds: state.holds.map(presentHold),
    events: state.events.map(presentRetentionEvent),
  };
}

export function presentAudit(event: AuditRecord): wire.AuditEvent {
  const { id, actor, action, package_id, subject_id, reason, detail } = event;
  return { id, at: eventTime(event.at), actor, action, package_id, subject_id, reason, detail };
}
