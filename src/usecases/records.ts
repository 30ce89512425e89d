/** What the registry keeps, as use cases hand it out: http knows use cases, not the registry. */
export type { ApiTokenRecord } from '../registry/api-tokens.ts';
export type { AuditRecord } from '../registry/audit.ts';
export type { FileRecord } from '../registry/files.ts';
export type { FoundPlace } from '../registry/find-files.ts';
export type { FixityRunRecord } from '../registry/fixity-runs.ts';
export type { ObjectTotals } from '../registry/object-rows.ts';
export type { PackageTotals } from '../registry/package-totals.ts';
export type { PackageFilter, PackageRecord } from '../registry/packages.ts';
export type { HoldRecord, RetentionEventRecord } from '../registry/retention.ts';
export type { ShareRecord } from '../registry/shares.ts';
export type { SigningKeyRecord } from '../registry/signing-keys.ts';
export type { SweepRecord } from '../registry/sweeps.ts';
export type { UploadRecord } from '../registry/upload-record.ts';
export type { DeliveryRecord } from '../registry/webhook-deliveries.ts';
