import type { Readable } from 'node:stream';
import type { Digest } from '../core/digest.ts';
import type { UploadId } from '../core/ids.ts';
import type { LockMode, ObjectLock } from '../core/object-lock.ts';
import type { PlannedPart } from '../core/part-plan.ts';
import type { ObjectKey } from './key-layout.ts';

/**
 * The contract of every storage backend, in parts: a caller is given the part that it needs. Each part is held by a suite of its
 * own (test/suites/blob-*.ts), for every backend.
 *
 * A backend knows keys, uploads and bytes; it knows nothing of packages, callers or proofs. It never retries a
 * completion and never overwrites an object. Absence, idempotence and what a failure leaves behind stand at each
 * method. All sizes and offsets are bytes; all times are milliseconds since 1970.
 */
export interface BlobStore {
  readonly kind: 'folder' | 's3';
  readonly uploads: Uploads;
  readonly objects: Objects;
  /** Null: the backend cannot lock objects, or is not to. */
  readonly locks: ObjectLocks | null;

  /**
   * Never throws: what is wrong stands in the answer. @param afresh tries anew what the backend guarantees, which may take
   * its time; else it is told as it was last seen
   */
  health(afresh?: boolean): Promise<BlobHealth>;

  close(): Promise<void>;
}

/** How the bytes of an object arrive. */
export interface Uploads {
  /**
   * How deliverPart takes an object: `whole`, as one part of any size, whose file may become the object without a byte
   * being copied; or in `parts`, cut as clients cut theirs.
   */
  readonly delivery: 'whole' | 'parts';

  /**
   * Starts the upload of one object. Nothing is visible under the key until it is completed.
   * @returns the backend's own name for the upload (S3: UploadId), to be kept by the caller
   */
  create(key: ObjectKey, uploadId: UploadId): Promise<string>;

  /** A request that stores exactly this part, and nothing else, until `expiresAt` or the upload ends. No I/O. */
  signPart(upload: UploadHandle, part: PlannedPart, expiresAt: number): Promise<SignedRequest>;

  /**
   * The service itself delivers a part of an object that it spooled and hashed: the part is in the file at its offset. The
   * file may be linked instead of copied, so it must not be written to afterwards. Again with the same bytes: no change.
   */
  deliverPart(upload: UploadHandle, part: PlannedPart, file: string): Promise<void>;

  /**
   * The service itself passes a part on as it comes, kept nowhere else on the way. Nothing of it is there when it throws. Chunks must
   * stay as they are until the one after the next is asked for.
   * @throws StoreError part_digest_mismatch, body_length_mismatch (it broke off, or is shorter or longer), upload_closed,
   * no_space, unavailable: it must be sent again from its beginning
   */
  streamPart(upload: UploadHandle, part: PlannedPart, body: AsyncIterable<Uint8Array>): Promise<void>;

  /** The parts that have arrived whole, in any order; null: storage knows no such upload. */
  listParts(upload: UploadHandle): Promise<ReceivedPart[] | null>;

  /**
   * Makes the object out of its parts, durably, and ends the upload. Call it once: after any error the key is
   * abandoned, and the parts may be gone. A part that has not arrived, or an object that stands under the key already, is an error.
   * Afterwards every part request, however late, fails and changes nothing.
   * @param received what `listParts` has answered, if it was asked
   * @throws StoreError upload_incomplete, and upload_abandoned (what stands under the key is another's), before anything was completed;
   *   after any other error nobody knows
   */
  complete(
    upload: UploadHandle,
    parts: readonly PlannedPart[],
    received?: readonly ReceivedPart[],
  ): Promise<CompletedObject>;

  /**
   * What became of a completion that gave no clean answer, or whose caller died. Only asked by whoever holds the completion: no other is under
   * way. When it says what, the upload is over, nothing more can come of it, and what stands is durable. It may be another's with the same plan:
   * its bytes are to be verified.
   */
  settle(upload: UploadHandle): Promise<Settled>;

  /**
   * Ends an upload that was never completed and frees its parts. An unknown upload is not an error. Without the
   * backend's name, which a crash can keep from being recorded, all that was begun on the upload's key is ended.
   */
  abort(upload: MaybeNamedUpload): Promise<void>;

  /**
   * What storage has begun, and neither completed nor aborted, in the order of keys. None where what ended without the service is
   * removed before it starts.
   */
  listBegun(): AsyncIterable<BegunUpload>;

  /**
   * Frees what an upload leaves whose object nothing will refer to, as far as that is safe. Idempotent; an unknown
   * upload is not an error. Only after a clean completion is what stands under the key its own: else it stays. @returns later: after an unclean
   * completion something stands there, or may come to stand there, and is left to the sweep
   */
  drop(upload: UploadHandle, completion: Completion, versionId: string | null): Promise<'dropped' | 'later'>;
}

/** The objects that are there, for those who only read. */
export interface ObjectReader {
  /** The object's bytes, or a range of them (the caller keeps it inside the object). @throws StoreError object_not_found */
  open(ref: ObjectRef, range?: ByteRange): Promise<Readable>;

  /** Null when it does not exist. */
  stat(ref: ObjectRef): Promise<ObjectStat | null>;

  /**
   * Every object under the prefix, ordered by key, as it was at some moment during the walk. Where objects are locked also what a DELETE
   * without a version has only hidden; of several versions under a key the first, for no key is used again.
   */
  list(prefix: string): AsyncIterable<ObjectStat & { key: ObjectKey }>;

  /** A request that reads one object (or one range of it, and then nothing else of it) until `expiresAt`. No I/O. */
  signDownload(ref: ObjectRef, options: DownloadOptions): Promise<SignedRequest>;
}

/** Whole objects. */
export interface Objects extends ObjectReader {
  /**
   * Writes a small object of the service's own (a manifest) durably, under a key that only ever gets these bytes.
   * If it stands there already with the same bytes: no change. With other bytes: an error, and no change.
   * @returns the size and digest of what was written, or stands there
   */
  write(key: ObjectKey, bytes: AsyncIterable<Uint8Array>): Promise<WrittenObject>;

  /**
   * Removing what does not exist is no error. Readers that have it open go on reading. Without a version, all that stands under the key
   * goes. What is locked stays; without a version it is then hidden from whoever names none.
   * @returns false: it is locked
   */
  remove(ref: ObjectRef): Promise<boolean>;

  /**
   * The same of many, in as few requests as the backend allows. When it throws, some of them may be removed.
   * @returns those that stay, because they are locked
   */
  removeMany(refs: readonly ObjectRef[]): Promise<LockedObject[]>;
}

/** Object Lock: storage itself refuses to remove a version of an object, whoever asks for it. */
export interface ObjectLocks {
  readonly mode: LockMode;

  /**
   * Locks an object until this time at least, ms. Only ever raises: what is locked longer stays so. An object keeps the mode that it was
   * first locked with. @throws StoreError object_not_found, unavailable
   */
  retain(ref: ObjectRef, until: number): Promise<void>;

  /** Locks an object until it is lifted, whatever its retention says. Idempotent. @throws StoreError object_not_found, unavailable */
  hold(ref: ObjectRef, on: boolean): Promise<void>;

  /** Null when it does not exist. */
  read(ref: ObjectRef): Promise<ObjectLock | null>;
}

/** An object that could not be removed. */
export interface LockedObject extends ObjectRef {
  /** ms; null: it is held, or storage does not say. */
  until: number | null;
}

/** An object of the service's own. */
export interface WrittenObject {
  size: number;
  digest: Digest;
  /** Versioned buckets only. */
  versionId: string | null;
}

/** What the registry remembers of an upload, handed back with every call. */
export interface UploadHandle {
  id: UploadId;
  key: ObjectKey;
  storageUploadId: string;
}

/** The same of an upload that the backend may know, without its name having been recorded. */
export type MaybeNamedUpload = Omit<UploadHandle, 'storageUploadId'> & { storageUploadId: string | null };

/** An upload as storage lists it. */
export interface BegunUpload {
  key: ObjectKey;
  /** All that `create` may have called it. */
  names: readonly string[];
  begunAt: number;
}

/**
 * What is known of an upload's one completion: that none was sent, that storage answered it cleanly, or neither (an
 * error, no answer, a crash in between).
 */
export type Completion = 'not_sent' | 'clean' | 'unclean';

/** What a completion came to: an object; nothing; or storage cannot tell, now or ever. */
export type Settled = CompletedObject | 'nothing' | 'unknown';

export interface ReceivedPart {
  number: number;
  size: number;
  etag: string;
}

export interface CompletedObject {
  size: number;
  /** Versioned buckets only: reads and deletes name it. */
  versionId: string | null;
  /**
   * The object's digest, when the backend itself hashed every byte (or proved that it refuses others).
   * Null: the caller must read the object back and hash it.
   */
  digest: Digest | null;
  /** Each part could only be the bytes of its planned digest: whoever knows that they make the object need not read it. */
  partsBound: boolean;
}

export interface ObjectRef {
  key: ObjectKey;
  versionId: string | null;
}

export interface ByteRange {
  offset: number;
  size: number;
}

export interface ObjectStat {
  /** Null: storage keeps no versions, or a list does not say. */
  versionId: string | null;
  size: number;
  /** When it was written; ms. */
  modifiedAt: number;
}

export interface SignedRequest {
  method: 'GET' | 'PUT';
  url: string;
  /** To be sent exactly so. */
  headers: Record<string, string>;
  expiresAt: number;
}

export interface DownloadOptions {
  objectId: string;
  expiresAt: number;
  range?: ByteRange;
}

/** Something that a backend was seen to guarantee, or not, in words for operators. */
export interface Finding {
  /** As among the guarantees. */
  guarantee: string;
  held: boolean;
  /** What it means when it did not hold: failure, the store must not be used so; note, nothing needs to be done. */
  weight: 'failure' | 'warning' | 'note';
  /** A sentence for everybody: it names nothing of this installation. */
  short: string;
  /** The same with what was seen. */
  says: string;
  /** What to change, for everybody too; null when nothing needs to be. */
  advice: string | null;
}

export interface BlobHealth {
  kind: string;
  /** Where it is; for operators alone. */
  place: string;
  ok: boolean;
  latency_ms: number;
  /** Null where the backend does not tell. */
  free_bytes: number | null;
  /** What the backend was seen to guarantee, in words of docs/operations.md. */
  guarantees: Record<string, boolean>;
  findings: Finding[];
  /** What is wrong and what to do; may name folders, buckets and addresses. */
  error?: string;
  /** The same in one word, for everybody: EROFS, NoSuchBucket. */
  error_code?: string;
}
