import { realpath } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import type { Package } from '../../src/api/types.ts';
import type { JsonObject } from '../../src/core/canonical-json.ts';
import type { Limits } from '../../src/core/limits.ts';
import { CliError, EXIT, isApiError, usageError } from '../errors.ts';
import type { ProgressReport } from '../progress.ts';
import type { ApiClient } from './api-client.ts';
import { compareFiles, countDifferences, differenceLines, summarizeDifferences } from './compare.ts';
import { Slots } from './concurrency.ts';
import { type HashedFile, HashPool } from './hash.ts';
import { type FoundFile, fileChanged, sameIdentity } from './local-file.ts';
import { mediaTypeOf } from './media-types.ts';
import { packageFiles } from './package-files.ts';
import { type PushState, pushState } from './push-state.ts';
import { Uploader } from './uploader.ts';
import { type WalkOptions, walk } from './walk.ts';

export interface PushOptions {
  directory: string;
  /** Default: the directory's own name. */
  name?: string | undefined;
  producer: string;
  subject?: string | undefined;
  externalId?: string | undefined;
  retentionClass?: string | undefined;
  metadata?: JsonObject | undefined;
  /** Content that differs from a finalized package becomes a new one, which supersedes it. */
  revision?: boolean | undefined;
  /** The id of a package to continue, or to compare with. */
  resume?: string | undefined;
  /** Default true. */
  finalize?: boolean | undefined;
  /** Parts in flight; default 8. */
  parallel?: number | undefined;
  symlinks?: WalkOptions['symlinks'] | undefined;
  special?: WalkOptions['special'] | undefined;
}

export interface PushProgress {
  /** Handed a function that says, whenever asked, how far the push is. */
  watch?: (report: () => ProgressReport) => void;
  /** News for people. */
  note?: (text: string) => void;
}

export interface PushResult {
  package_id: string;
  status: Package['status'];
  manifest_digest: string | null;
  file_count: number;
  total_size: number;
  /** The content was there already, in a finalized package. */
  reused: boolean;
  uploaded: { objects: number; bytes: number };
  expires_at: string | null;
  seconds: number;
}

const DEFAULT_PARALLEL = 8;
/** A batch is hashed while the ones before it are sent. */
const BATCH_BYTES = 256 * 1024 ** 2;
const BATCHES_IN_FLIGHT = 2;

/**
 * One directory, one finalized package: every file of it, each with the bytes it has from the first look to the last, or
 * none. An interrupted push is continued by another one: what is stored is not sent again.
 * @param env where the file is kept that remembers unfinished pushes (XDG_CACHE_HOME, HOME)
 */
export async function pushDirectory(
  client: ApiClient,
  options: PushOptions,
  progress: PushProgress = {},
  env: Record<string, string | undefined> = process.env,
): Promise<PushResult> {
  const started = performance.now();
  const walkOptions: WalkOptions = {
    symlinks: options.symlinks ?? 'refuse',
    special: options.special ?? 'refuse',
    signal: client.signal,
    skipped: (path, why) => progress.note?.(`left out: ${JSON.stringify(path)} ${why}`),
  };
  const files = await walk(options.directory, walkOptions);
  if (files.length === 0)
    throw usageError(`${JSON.stringify(options.directory)} holds no file: there is nothing to push.`);
  const directory = await realpath(options.directory);
  const name = options.name ?? basename(resolve(options.directory));
  const state = pushState(env, { url: client.url, directory, producer: options.producer, name });
  const limits = await client.limits();
  const pool = new HashPool(limits);
  const push = new Push({ client, options: { ...options, name }, state, files, pool, limits });
  progress.watch?.(() => push.report());
  try {
    const result = await push.run(() => assertSame(files, options.directory, walkOptions));
    return { ...result, seconds: Math.round(performance.now() - started) / 1_000 };
  } finally {
    await pool.close();
  }
}

/** Looks at the whole directory again: nothing changed, nothing vanished, nothing came. @throws CliError file_changed */
async function assertSame(before: readonly FoundFile[], directory: string, options: WalkOptions): Promise<void> {
  const after = new Map(
    (await walk(directory, { ...options, skipped: undefined })).map((file) => [file.path, file] as const),
  );
  for (const file of before) {
    const now = after.get(file.path);
    if (!now) throw fileChanged(file.path, 'vanished');
    if (!sameIdentity(now.identity, file.identity)) throw fileChanged(file.path);
    after.delete(file.path);
  }
  for (const path of after.keys()) throw fileChanged(path, 'appeared in the directory');
}

interface PushParts {
  client: ApiClient;
  options: PushOptions & { name: string };
  state: PushState;
  files: readonly FoundFile[];
  pool: HashPool;
  limits: Limits;
}

type Unfinished = Omit<PushResult, 'seconds'>;

class Push {
  readonly #client: ApiClient;
  readonly #options: PushOptions & { name: string };
  readonly #state: PushState;
  readonly #files: readonly FoundFile[];
  readonly #pool: HashPool;
  readonly #limits: Limits;
  readonly #totalBytes: number;
  #uploader: Uploader | null = null;
  /** Files whose own bytes need not be sent, and those bytes; what is sent comes on top. */
  #settled = { files: 0, bytes: 0 };
  #hashedFiles = 0;

  constructor({ client, options, state, files, pool, limits }: PushParts) {
    this.#client = client;
    this.#options = options;
    this.#state = state;
    this.#files = files;
    this.#pool = pool;
    this.#limits = limits;
    this.#totalBytes = files.reduce((sum, { size }) => sum + size, 0);
  }

  report(): ProgressReport {
    const totals = { totalFiles: this.#files.length, totalBytes: this.#totalBytes };
    const sent = this.#uploader?.totals ?? { objects: 0, wire: 0 };
    const bytes = Math.min(this.#settled.bytes + sent.wire, this.#totalBytes);
    if (bytes === 0) return { phase: 'hashing', files: this.#hashedFiles, bytes: this.#pool.bytes, ...totals };
    return { phase: 'sending', files: this.#settled.files + sent.objects, bytes, ...totals };
  }

  async run(assertSame: () => Promise<void>): Promise<Unfinished> {
    const pkg = await this.#open();
    if (pkg.status === 'finalized') return this.#compare(pkg, assertSame);
    try {
      return await this.#fill(pkg, this.#hashBatches(), assertSame);
    } catch (error) {
      // Another push sealed it meanwhile, or this one did before it was killed: the seal is finished, then compared with.
      if (!isApiError(error, 'package_sealed')) throw error;
      return this.#compare(await this.#client.finalizePackage(pkg.id), assertSame);
    }
  }

  /** The package to fill: named by --resume, left unfinished here, existing under the external id, or a new one. */
  async #open(): Promise<Package> {
    const { resume, revision, externalId } = this.#options;
    const unfinished = await this.#unfinished();
    if (resume !== undefined) {
      const pkg = await this.#client.getPackage(resume);
      if (revision && unfinished?.supersedes === pkg.id) return unfinished;
      assertUsable(pkg);
      return pkg;
    }
    if (externalId === undefined && unfinished) return unfinished;
    return this.#create();
  }

  async #unfinished(): Promise<Package | null> {
    const id = await this.#state.load();
    if (id === null) return null;
    const pkg = await this.#client.getPackage(id).catch((error: unknown) => {
      if (isApiError(error, 'package_not_found', 'package_deleted')) return null;
      throw error;
    });
    return pkg && (pkg.status === 'created' || pkg.status === 'uploading') ? pkg : null;
  }

  async #create(supersedes?: string): Promise<Package> {
    const { name, producer, subject, externalId, retentionClass, metadata } = this.#options;
    const { pkg } = await this.#client.createPackage({
      name,
      producer,
      subject,
      external_id: externalId,
      retention_class: retentionClass,
      metadata,
      supersedes,
    });
    if (pkg.status !== 'finalized') await this.#state.save(pkg.id);
    return pkg;
  }

  async #compare(pkg: Package, assertSame: () => Promise<void>): Promise<Unfinished> {
    const [theirs, ours] = [await packageFiles(this.#client, pkg), await this.#hashAll()];
    await assertSame();
    const differences = compareFiles(theirs, ours);
    if (countDifferences(differences) === 0) {
      await this.#state.clear();
      return { ...present(pkg), reused: true, uploaded: { objects: 0, bytes: 0 } };
    }
    if (this.#options.revision) {
      return this.#fill(await this.#create(pkg.id), batchesOf(ours, this.#limits), assertSame);
    }
    throw new CliError(
      [`The directory differs from ${pkg.id}, which is finalized:`, ...differenceLines(differences)].join('\n'),
      {
        exit: EXIT.refused,
        code: 'package_differs',
        next: 'Push it as a new package that supersedes that one with --revision.',
        extras: { package_id: pkg.id, differences: summarizeDifferences(differences) },
      },
    );
  }

  async #hashAll(): Promise<HashedFile[]> {
    const hashed: HashedFile[] = [];
    for await (const batch of this.#hashBatches()) hashed.push(...batch);
    return hashed;
  }

  async *#hashBatches(): AsyncGenerator<HashedFile[]> {
    for (const batch of batchesOf(this.#files, this.#limits)) {
      this.#client.signal.throwIfAborted();
      const hashed = await this.#pool.hash(batch);
      this.#hashedFiles += hashed.length;
      yield hashed;
    }
  }

  /** hash → register → plan the missing → send → commit, a few batches in flight; then finalize. */
  async #fill(
    pkg: Package,
    batches: AsyncIterable<HashedFile[]> | Iterable<HashedFile[]>,
    assertSame: () => Promise<void>,
  ): Promise<Unfinished> {
    const known = await this.#prepare(pkg);
    const parallel = this.#options.parallel ?? DEFAULT_PARALLEL;
    const uploader = new Uploader({ client: this.#client, packageId: pkg.id, limits: this.#limits, parallel });
    this.#uploader = uploader;
    const slots = new Slots(BATCHES_IN_FLIGHT);
    const sent = new Map<string, Promise<void>>();
    const failures: unknown[] = [];
    const sending: Array<Promise<void>> = [];
    try {
      for await (const batch of batches) {
        if (failures.length > 0) break;
        const missing = await this.#register(pkg, batch, known);
        let begin = (): void => {};
        const begun = new Promise<void>((resolve) => {
          begin = resolve;
        });
        const task = slots.use(async () => {
          begin();
          if (failures.length === 0) await this.#send(uploader, batch, missing, sent);
        });
        sending.push(task.catch((error: unknown) => void failures.push(error)));
        // Hashing must not run far ahead of sending.
        await begun;
      }
    } catch (error) {
      failures.push(error);
      uploader.stop();
    } finally {
      await Promise.all(sending);
      uploader.close();
    }
    if (failures.length > 0) throw failures[0];
    await assertSame();
    return this.#finish(pkg, uploader.totals);
  }

  /** What the package has from before: files that the directory no longer has are taken out. @returns path → digest */
  async #prepare(pkg: Package): Promise<Map<string, string>> {
    const known = new Map<string, string>();
    if (pkg.status === 'created') return known;
    const paths = new Set<string>(this.#files.map(({ path }) => path));
    for await (const file of this.#client.files(pkg.id)) known.set(file.path, file.digest);
    for (const path of known.keys()) {
      if (!paths.has(path)) await this.#client.removeFile(pkg.id, path);
    }
    return known;
  }

  /** @returns the digests whose bytes must be sent */
  async #register(
    pkg: Package,
    batch: readonly HashedFile[],
    known: ReadonlyMap<string, string>,
  ): Promise<Set<string>> {
    const { files } = await this.#client.registerFiles(
      pkg.id,
      batch.map(({ path, digest, size, mtime, executable }) => ({
        path,
        digest,
        size,
        mtime,
        ...(executable ? { executable } : {}),
        media_type: mediaTypeOf(path),
        ...(known.has(path) && known.get(path) !== digest ? { replace: true } : {}),
      })),
    );
    return new Set(files.filter(({ state }) => state === 'missing').map(({ digest }) => digest));
  }

  /** Sends each missing digest once in the whole push; waits for those that an earlier batch is sending. */
  async #send(
    uploader: Uploader,
    batch: readonly HashedFile[],
    missing: ReadonlySet<string>,
    sent: Map<string, Promise<void>>,
  ): Promise<void> {
    const mine = new Map<string, HashedFile>();
    const others: Array<Promise<void>> = [];
    for (const file of batch) {
      if (!missing.has(file.digest) || mine.has(file.digest)) continue;
      const other = sent.get(file.digest);
      if (other) others.push(other);
      else mine.set(file.digest, file);
    }
    for (const file of batch) {
      if (mine.get(file.digest) === file) continue;
      this.#settled.files += 1;
      this.#settled.bytes += file.size;
    }
    const work = uploader.send([...mine.values()]);
    for (const digest of mine.keys()) sent.set(digest, work);
    await Promise.all([work, ...others]);
  }

  async #finish(pkg: Package, uploaded: { objects: number; bytes: number }): Promise<Unfinished> {
    const { objects, bytes } = uploaded;
    const counts = { file_count: this.#files.length, total_size: this.#totalBytes };
    const result = { reused: false, uploaded: { objects, bytes } };
    if (this.#options.finalize === false) {
      return { ...present(await this.#client.getPackage(pkg.id)), ...result };
    }
    const finalized = await this.#client.finalizePackage(pkg.id, counts);
    await this.#state.clear();
    return { ...present(finalized), ...result };
  }
}

function present(pkg: Package): Omit<Unfinished, 'reused' | 'uploaded'> {
  const { id, status, manifest_digest, file_count, total_size, retention } = pkg;
  return { package_id: id, status, manifest_digest, file_count, total_size, expires_at: retention.expires_at };
}

function assertUsable(pkg: Package): void {
  if (pkg.status !== 'failed' && pkg.status !== 'deleted') return;
  throw new CliError(`Package ${pkg.id} is ${pkg.status}: it takes no files.`, {
    exit: EXIT.refused,
    code: pkg.status === 'failed' ? 'package_failed' : 'package_deleted',
    next: 'Push without --resume: that makes a new package.',
    extras: { package_id: pkg.id },
  });
}

function* batchesOf<T extends FoundFile>(files: readonly T[], limits: Limits): Generator<T[]> {
  let batch: T[] = [];
  let bytes = 0;
  for (const file of files) {
    if (batch.length > 0 && (batch.length >= limits.files_per_call || bytes + file.size > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(file);
    bytes += file.size;
  }
  if (batch.length > 0) yield batch;
}
