import type { BlobStore, ByteRange, DownloadOptions, ObjectReader, SignedRequest } from '../blobs/blob-store.ts';
import type { StreamChecker } from '../blobs/check-thread.ts';
import type { Spool } from '../blobs/spool.ts';
import type { UploadId, WebhookId } from '../core/ids.ts';
import type { Limits } from '../core/limits.ts';
import type { Quotas } from '../core/quotas.ts';
import { everything, type Grant, type Scope } from '../core/scopes.ts';
import type { SigningKey } from '../core/signing-key.ts';
import type { StoreId } from '../core/store-identity.ts';
import type { LogCheckpoint } from '../registry/log.ts';
import type { Reads } from '../registry/reads.ts';
import type { Registry } from '../registry/registry.ts';
import type { Meters } from './meters.ts';
import type { Sent } from './sent.ts';

/** Who asks, which packages exist for it, and what it may do. Made by authentication; every use case takes one. */
export interface Caller {
  /** Stands in audit events. */
  actor: string;
  reads: Reads;
  scopes: readonly Scope[];
}

/** For whom a credential speaks. */
export function callerOf({ actor, scopes, producers }: Grant): Caller {
  return { actor, scopes, reads: producers === null ? { all: true } : { producers } };
}

/** The service's own doings (recovery) stand in the audit under this name. */
export const SYSTEM: Caller = callerOf(everything('artifact-store'));

export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** How objects are read again by themselves. */
export interface FixitySchedule {
  /** Every object at least once in so long, ms; null: only what a read found to be wrong. */
  period: number | null;
  /** Bytes per second that one service reads. */
  rate: number;
}

/** What signs attestations and checkpoints. Whoever signs takes the key by `signingKey` (signing-keys.ts), which makes it known first. */
export interface SigningKeys {
  current(): SigningKey;
  /** Puts a new one in its place; null: the configuration names it. */
  replace: (() => Promise<SigningKey>) | null;
}

/** The audit as a transparency log. */
export interface AuditLog {
  /** The log's name. @throws StoreError unavailable: not known yet */
  origin(): string;
  /** One of every event that can be seen now, signed, and written to storage. @throws StoreError integrity_failure, unavailable */
  checkpoint(): Promise<LogCheckpoint>;
  /** Brings what is new into the log, and makes a checkpoint when it is time for one. */
  keepUp(signal?: AbortSignal): Promise<void>;
}

/** What events are sent by. */
export interface WebhookPost {
  /** Why nothing is sent to a URL, as half a sentence; null: it may be tried. */
  urlProblem(url: URL): string | null;
  /** Never throws. @param signal ends it; null: it ends by itself */
  post(url: string, headers: Record<string, string>, body: Buffer, signal: AbortSignal | null): Promise<Sent>;
  /** What signs; it is the same as long as the service's signing key is. @param no how often it was rotated, from 1 */
  secretOf(id: WebhookId, no: number): string;
}

/** Parts of the blob store. A use case names those that it needs, as in `Services<WithUploads & WithReader>`. */
export type WithUploads = Pick<BlobStore, 'uploads'>;
export type WithObjects = Pick<BlobStore, 'objects'>;
/** What stands beside a manifest is written, and locked with all that the package needs. */
export type WithDecisions = Pick<BlobStore, 'objects' | 'locks'>;
export type WithLocks = Pick<BlobStore, 'locks'>;
export type WithReader = { readonly objects: ObjectReader };
export type WithHealth = Pick<BlobStore, 'health'>;

/** What use cases work with. @typeParam Store the parts of the blob store; left out: none */
export interface Services<Store = unknown> {
  registry: Registry;
  blobs: Store;
  spool: Spool;
  checker: StreamChecker;
  limits: Limits;
  /** What packages and producers may have. */
  quotas: Quotas;
  log: Log;
  meters: Meters;
  keys: SigningKeys;
  /** Names this process in upload leases. */
  instance: string;
  /** Completions that this process is working on, so that a second commit waits for the first. */
  running: Map<UploadId, Promise<void>>;
  /** How long a commit waits for its verification before it answers `verifying`. */
  commitPatienceMs: number;
  /** What the start of this process has begun and not ended yet, by names for operators: probe, recovery. */
  underWay: () => string[];
  /** Of the store, which is the registry's; null as long as storage has not said so. */
  storeId: () => StoreId | null;
  /** How long what nothing needs stays condemned before it is removed; ms. */
  sweepGraceMs: number;
  /** How objects are read again by themselves. */
  fixity: FixitySchedule;
  auditLog: AuditLog;
  webhooks: WebhookPost;
  /** Requests are under way, or uploads are being completed. */
  busy: () => boolean;
  /** Goes on after the request that asked for it; ends with the service. @param id of the run, for the log */
  inBackground: (
    name: 'sweep' | 'fixity_run' | 'webhook',
    id: string,
    work: (signal: AbortSignal) => Promise<unknown>,
  ) => void;
  /** How clients reach the service; known once it listens. */
  publicUrl: () => string;
  /** A signed URL of this very service for a range of an object's content, whatever form it is stored in. No I/O. */
  signRange: (range: DownloadOptions & { range: ByteRange }) => SignedRequest;
}
