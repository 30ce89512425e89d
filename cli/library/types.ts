import type {
  FileRule,
  Hold,
  Package,
  PackageFile,
  PackageStatus,
  Progress,
  PullResult,
  PushResult,
  Retention,
  Verification,
} from './answers.ts';

// What programs ask of the client, with names as JavaScript writes them: plain types, which name no other package.

export interface ClientOptions {
  /** Of the service, as `http://127.0.0.1:8420`. */
  url: string;
  /** A bearer token; left out: none is sent. */
  token?: string | undefined;
  /** In the place of `token`: a job of GitHub Actions asks for tokens, and for fresh ones as they expire. */
  identity?: GithubIdentity | undefined;
  /** Named in front of this client's own name in `User-Agent`: `my-program/1.2`. */
  userAgent?: string | undefined;
  /**
   * Where proxies (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), the cache folder (`XDG_CACHE_HOME`, `HOME`) and what GitHub Actions tells
   * its jobs are named. Default: `process.env`.
   */
  env?: Record<string, string | undefined> | undefined;
  /** News in full sentences: that something is tried again, that the cache cannot be used. Default: nobody is told. */
  onNote?: ((text: string) => void) | undefined;
}

export interface GithubIdentity {
  provider: 'github';
  /** Whom the tokens are for; left out: the service, by its URL. */
  audience?: string | undefined;
}

/** Every method takes one. When it is aborted, the promise rejects with its reason. */
export interface CallOptions {
  signal?: AbortSignal | undefined;
}

export interface Client {
  readonly url: string;
  readonly packages: Packages;
  readonly retention: RetentionOf;
  /**
   * Preserves a directory as a package: hashes every file, sends what the store does not have, and finalizes. Pushed again,
   * it continues where it was interrupted; with an external id, the same directory is never stored twice.
   */
  push(directory: string, options: PushOptions): Promise<PushResult>;
  /**
   * Writes the files of a package below a directory: every byte is checked, nothing is replaced, and all is on the disk
   * when it resolves. Called again, it continues where it was interrupted.
   */
  pull(id: string, directory: string, options?: PullOptions): Promise<PullResult>;
  /** Reads every file of a package and compares its digest; nothing is written. Damaged files are told, not thrown. */
  verify(id: string, options?: WatchedOptions): Promise<Verification>;
  /** Opens one file: resolves when it is found, before a byte of it is read. */
  openFile(id: string, path: string, options?: OpenOptions): Promise<OpenedFile>;
  /** One file, whole and checked. @throws code `file_too_large` when it has more bytes than `maxBytes` */
  readFile(id: string, path: string, options?: ReadOptions): Promise<Uint8Array>;
  /**
   * Waits until somebody has finalized the package.
   * @throws code `package_failed`, `package_deleted` when that cannot happen any more
   */
  waitForFinalized(id: string, options?: WaitOptions): Promise<Package>;
  /** Ends what is under way, and closes all connections. */
  close(): void;
}

export interface Packages {
  /** Newest first, asked for page by page as they are used. */
  list(filter?: PackageFilter, options?: CallOptions): AsyncIterable<Package>;
  get(id: string, options?: CallOptions): Promise<Package>;
  /** In the order of their paths, asked for page by page as they are used. */
  files(id: string, options?: CallOptions): AsyncIterable<PackageFile>;
  /** What was pushed with `finalize: false`. Of a finalized package it answers the package. */
  finalize(id: string, options?: CallOptions): Promise<Package>;
  /** The canonical bytes that `manifest_digest` is the digest of, checked. */
  manifest(id: string, options?: CallOptions): Promise<Uint8Array>;
  /** What the service has signed of a finalized package: a DSSE envelope. */
  attestation(id: string, options?: CallOptions): Promise<Uint8Array>;
  /** Only what is expired and not held can be deleted. The reason is recorded. */
  delete(id: string, reason: string, options?: CallOptions): Promise<Package>;
}

export interface RetentionOf {
  get(id: string, options?: CallOptions): Promise<Retention>;
  /** Never shortens. */
  extend(id: string, extension: Extension, options?: CallOptions): Promise<Retention>;
  /** Blocks deletion until it is released, whatever the package's expiry says. */
  hold(id: string, hold: NewHold, options?: CallOptions): Promise<Hold>;
  release(id: string, holdId: string, reason: string, options?: CallOptions): Promise<Hold>;
}

export interface WatchedOptions extends CallOptions {
  /** Told four times a second, and once at the end. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

export interface PushOptions extends WatchedOptions {
  /** Who made the files. */
  producer: string;
  /** Default: the directory's own name. */
  name?: string | undefined;
  /** What the files are about. */
  subject?: string | undefined;
  /** The producer's own id: names one package, however often it is pushed. */
  externalId?: string | undefined;
  /** Default: that of the service. */
  retentionClass?: string | undefined;
  /** Files that need not be kept as long as the package. */
  fileRules?: readonly FileRule[] | undefined;
  /** JSON, at most 256 KiB. */
  metadata?: Record<string, unknown> | undefined;
  /** Where the finalized package differs, a new one is made, which supersedes it. Default: the push is refused, `package_differs`. */
  revision?: boolean | undefined;
  /** The id of a package to continue. */
  resume?: string | undefined;
  /** Default true. */
  finalize?: boolean | undefined;
  /** Globs of what is left out, beside what `.artifact-store-ignore` names. */
  exclude?: readonly string[] | undefined;
  /** `follow`: only to targets in the directory. Default refuse. */
  symlinks?: 'refuse' | 'skip' | 'follow' | undefined;
  /** Sockets, fifos and devices. Default refuse. */
  special?: 'refuse' | 'skip' | undefined;
  /** Secrets in text files. Default warn: `onWarning` is told, and the package records them. */
  secrets?: 'refuse' | 'warn' | 'ignore' | undefined;
  /** A zstd level from 1 to 19; default auto. */
  compression?: 'auto' | 'off' | number | undefined;
  /** Read every file, whatever the cache says of it. */
  rehash?: boolean | undefined;
  /** Parts in flight; default 8. */
  parallel?: number | undefined;
  /** What must be seen, a sentence each: secrets that were found. */
  onWarning?: ((text: string) => void) | undefined;
}

export interface PullOptions extends WatchedOptions {
  /** Only paths that match; `**` crosses folders. */
  glob?: string | undefined;
  /** Restore modification times, too. */
  preserve?: boolean | undefined;
  /** Connections; default 8. */
  parallel?: number | undefined;
}

export interface OpenOptions extends CallOptions {
  /** Only these bytes, which must be in the file. A part has no digest: it is not checked. */
  range?: { offset: number; length: number } | undefined;
}

export interface OpenedFile {
  path: string;
  /** Of the whole file: `sha256:…`. */
  digest: string;
  /** Bytes of the whole file. */
  size: number;
  /**
   * The bytes; nothing is read before somebody asks. A whole file ends well only if it has its digest: else the stream fails with
   * `integrity_failure`, after its last byte. Cancel it, or read it to its end.
   */
  body: ReadableStream<Uint8Array> & AsyncIterable<Uint8Array>;
}

export interface ReadOptions extends CallOptions {
  /** Default 64 MiB. */
  maxBytes?: number | undefined;
}

export interface WaitOptions extends CallOptions {
  /** How often the service is asked, at most, ms. Default 2000. */
  everyMs?: number | undefined;
}

export interface PackageFilter {
  producer?: string | undefined;
  subject?: string | undefined;
  externalId?: string | undefined;
  /** Default: all but deleted ones. */
  status?: PackageStatus | undefined;
  retentionClass?: string | undefined;
  /** Values of members at the top of its metadata. */
  metadata?: Record<string, string | number | boolean> | undefined;
}

/** By so many days from the current expiry, or until a time. The reason is recorded. */
export type Extension = { reason: string } & ({ days: number } | { until: Date | string });

export interface NewHold {
  reason: string;
  /** Of a case, a ticket: whatever tells others more. */
  reference?: string | undefined;
}

export interface ArtifactStoreErrorOptions {
  code: string;
  status?: number | null | undefined;
  details?: Record<string, unknown> | undefined;
  cause?: unknown;
}
