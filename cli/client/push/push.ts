import type { Package } from '../../../src/api/types.ts';
import type { Limits } from '../../../src/core/limits.ts';
import type { FileRule } from '../../../src/core/retention.ts';
import type { SecretPlace, SecretRecord } from '../../../src/core/secret-record.ts';
import { isApiError, usageError } from '../../errors.ts';
import { countOf } from '../../format.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import { listedFiles, packageFiles } from '../api/package-files.ts';
import { compareFiles, countDifferences } from '../compare.ts';
import { cut } from '../concurrency.ts';
import type { PackageFile } from '../package-file.ts';
import type { Baseline } from '../secrets/baseline.ts';
import { recordOf, type SecretFindings } from '../secrets/collect-secrets.ts';
import { levelOf } from '../tree/compression.ts';
import { FileCache } from '../tree/file-cache.ts';
import type { FileList } from '../tree/file-list.ts';
import { hashFiles } from '../tree/hash-files.ts';
import { Readers } from '../tree/readers.ts';
import { type Asked, askedDifferences, assertClass, type ClassDays, refuseOpen } from './asked.ts';
import { filesDigest } from './files-digest.ts';
import { PackageFiller } from './package-filler.ts';
import { lookForPush, type PushLook } from './push-look.ts';
import type { PushOptions } from './push-order.ts';
import { askedBy, assertUsable, differs, LOST_SHOWN, lostInStore } from './push-refusals.ts';
import { readBaseline, refuseSecrets, secretsOf, secretWarnings } from './push-secrets.ts';
import { type PushState, pushState } from './push-state.ts';
import { Registrar } from './registrar.ts';
import { Uploader } from './uploader.ts';

export interface PushProgress {
  /** Handed a function that says, whenever asked, how far the push is. */
  watch?: (report: () => ProgressReport) => void;
  /** News for people. */
  note?: (text: string) => void;
  /** What must be seen. */
  warn?: (text: string) => void;
}

export interface PushResult {
  package_id: string;
  status: Package['status'];
  manifest_digest: string | null;
  file_count: number;
  total_size: number;
  /** The content was there already, in a finalized package. */
  reused: boolean;
  /** What had to be read: files that the cache did not know, or whose bytes the service did not have. */
  read: { files: number; bytes: number };
  uploaded: { objects: number; bytes: number };
  expires_at: string | null;
  /** Secrets in the files, those that the baseline accepts included; null: nobody looked. */
  secret_count: number | null;
  /** The first 1,000 of them, in the order of paths. */
  secrets: SecretPlace[] | null;
  seconds: number;
}

const DEFAULT_PARALLEL = 8;
/** What is hashed only to compare is remembered list by list. */
const HASH_LIST = { items: 1_000, bytes: 256 * 1024 ** 2 };

/**
 * One directory, one finalized package: every file of it, each with the bytes it has from the first look to the last,
 * or none. The next push continues an interrupted one: stored bytes are not sent again.
 * @param env where the file is kept that remembers unfinished pushes (XDG_CACHE_HOME, HOME)
 * @param looked when the directory was looked at already
 */
export async function pushDirectory(
  client: ApiClient,
  options: PushOptions,
  progress: PushProgress = {},
  env: Record<string, string | undefined> = process.env,
  looked?: PushLook,
): Promise<PushResult> {
  const started = performance.now();
  // While the answer is on its way the directory is looked at.
  const limiting = client.limits();
  limiting.catch(() => {});
  const look = looked ?? (await lookForPush(options, { signal: client.signal, note: progress.note }));
  const { files, name, metadata, lookAgain, remembered = files.root } = look;
  const policy = options.secrets ?? 'warn';
  const baseline = policy === 'ignore' ? null : readBaseline(files.root);
  const key = { url: client.url, directory: remembered, producer: options.producer, name };
  const state = pushState(env, key, progress.note);
  const readers = new Readers();
  const stop = (): void => void readers.stop();
  client.signal.addEventListener('abort', stop);
  const cache = await FileCache.open({ env, note: progress.note });
  try {
    if (!options.rehash) cache.load(files, baseline !== null);
    readers.expect(files.unhashed());
    const limits = await limiting;
    const asked = askedBy(options, look.leftOut);
    const parts = { client, options: { ...options, metadata }, name, asked, lookAgain, state, baseline };
    const push = new Push({ ...parts, files, cache, readers, limits, note: progress.note, warn: progress.warn });
    progress.watch?.(() => push.report());
    const result = await push.run();
    const read = { files: readers.files, bytes: readers.bytes };
    const { secrets } = push;
    const found = { secret_count: secrets?.count ?? null, secrets: secrets?.places ?? null };
    return { ...result, read, ...found, seconds: Math.round(performance.now() - started) / 1_000 };
  } finally {
    client.signal.removeEventListener('abort', stop);
    cache.close();
    await readers.stop();
  }
}

interface PushDeps {
  client: ApiClient;
  options: PushOptions;
  name: string;
  /** What an existing package is compared with. */
  asked: Asked;
  lookAgain: PushLook['lookAgain'];
  state: PushState;
  files: FileList;
  cache: FileCache;
  readers: Readers;
  limits: Limits;
  note: PushProgress['note'];
  warn: PushProgress['warn'];
  /** Null: nobody looks for secrets. */
  baseline: Baseline | null;
}

/** What was sent. */
type Sent = PushResult['uploaded'];

type Unfinished = Omit<PushResult, 'seconds' | 'read' | 'secret_count' | 'secrets'>;

/** Which package is filled or compared with, and how it ends. */
class Push {
  readonly #deps: PushDeps;
  #sending: { filler: PackageFiller; uploader: Uploader } | null = null;
  #finalizing = false;
  /** What was found when every file was looked through; null: not yet, or nobody looks. */
  secrets: SecretFindings | null = null;

  constructor(deps: PushDeps) {
    this.#deps = deps;
  }

  report(): ProgressReport {
    const { files, readers } = this.#deps;
    const totals = { totalFiles: files.length, totalBytes: files.totalBytes };
    if (this.#sending === null) return { phase: 'hashing', files: readers.files, bytes: readers.bytes, ...totals };
    const { filler, uploader } = this.#sending;
    const there = filler.settled.bytes + uploader.arrived.there;
    const bytes = Math.min(Math.round(there + uploader.arrived.moved), files.totalBytes);
    const done = { files: filler.settled.files + uploader.totals.files, bytes, there, ...totals };
    if (this.#finalizing) return { phase: 'finalizing', ...done };
    if (bytes === files.totalBytes) return { phase: uploader.verifying > 0 ? 'verifying' : 'committing', ...done };
    if (bytes === 0) return { phase: 'hashing', files: readers.files, bytes: readers.bytes, ...totals };
    return { phase: 'sending', ...done };
  }

  async run(): Promise<Unfinished> {
    const { client, options } = this.#deps;
    if (options.secrets === 'refuse') {
      await this.#hashAll();
      this.#tellSecrets();
    }
    const { pkg, created } = await this.#open();
    if (pkg.status === 'finalized') return this.#compare(pkg);
    if (!created) await this.#assertAsked(pkg);
    try {
      return await this.#fill(pkg);
    } catch (error) {
      // Another push sealed it meanwhile, or this one did before it was killed: the seal is finished, then compared with.
      if (!isApiError(error, 'package_sealed')) throw error;
      return this.#compare(await client.finalizePackage(pkg.id));
    }
  }

  /** The package to fill: named by --resume, left unfinished here, existing under the external id, or a new one. */
  async #open(): Promise<{ pkg: Package; created: boolean }> {
    const { client, options } = this.#deps;
    const { resume, revision, externalId } = options;
    const unfinished = await this.#unfinished();
    if (resume !== undefined) {
      const pkg = await client.getPackage(resume);
      if (revision && unfinished?.supersedes === pkg.id) return { pkg: unfinished, created: false };
      assertUsable(pkg);
      return { pkg, created: false };
    }
    if (externalId === undefined && unfinished) return { pkg: unfinished, created: false };
    return this.#create();
  }

  async #unfinished(): Promise<Package | null> {
    const { client, state } = this.#deps;
    const id = await state.load();
    if (id === null) return null;
    const pkg = await client.getPackage(id).catch((error: unknown) => {
      if (isApiError(error, 'package_not_found', 'package_deleted')) return null;
      throw error;
    });
    return pkg && (pkg.status === 'created' || pkg.status === 'uploading') ? pkg : null;
  }

  async #create(supersedes?: string): Promise<{ pkg: Package; created: boolean }> {
    const { client, state, options, name, limits } = this.#deps;
    const { producer, subject, externalId, retentionClass, metadata } = options;
    const fileRules = rulesFor(limits, options, this.#deps.note);
    const made = await client.createPackage({
      name,
      producer,
      subject,
      external_id: externalId,
      retention_class: retentionClass,
      ...(fileRules === undefined ? {} : { file_rules: fileRules }),
      metadata,
      supersedes,
    });
    if (made.pkg.status !== 'finalized') await state.save(made.pkg.id);
    return made;
  }

  async #compare(pkg: Package): Promise<Unfinished> {
    const { client, state, files, options } = this.#deps;
    const [theirs, classes] = await Promise.all([this.#filesOf(pkg), this.#classes(), this.#hashAll()]);
    this.#tellSecrets();
    await this.#assertSame();
    const differences = compareFiles(theirs, files.compared());
    const asked = askedDifferences(this.#deps.asked, pkg, classes);
    if (countDifferences(differences) === 0 && asked.length === 0) {
      const lost = await client.missingPaths(pkg.id, LOST_SHOWN + 1);
      if (lost.length > 0) throw lostInStore(pkg, lost);
      await state.clear();
      if (pkg.deleted_file_count > 0) this.#deps.note?.(sayRemoved(pkg));
      return { ...present(pkg), reused: true, uploaded: { objects: 0, bytes: 0 } };
    }
    if (options.revision) {
      const revision = await this.#create(pkg.id);
      if (!revision.created) await this.#assertAsked(revision.pkg);
      return this.#fill(revision.pkg);
    }
    throw differs(pkg, differences, asked, classes);
  }

  /** As its manifest says; whoever may only write may not read that, but the list. */
  async #filesOf(pkg: Package): Promise<PackageFile[]> {
    const { client } = this.#deps;
    try {
      return await packageFiles(client, pkg);
    } catch (error) {
      if (!isApiError(error, 'forbidden')) throw error;
      return listedFiles(client, pkg);
    }
  }

  /** @throws CliError package_differs: the open package would not become what was asked for */
  async #assertAsked(pkg: Package): Promise<void> {
    const asked = askedDifferences(this.#deps.asked, pkg, await this.#classes());
    if (asked.length > 0) throw refuseOpen(pkg, asked);
  }

  /** Not asked for when no class was. */
  async #classes(): Promise<ClassDays> {
    const { asked, client } = this.#deps;
    if (asked.retention_class === undefined) return new Map();
    const { items } = await client.retentionClasses();
    const classes = new Map(items.map(({ name, days }) => [name, days]));
    assertClass(asked.retention_class, classes);
    return classes;
  }

  async #hashAll(): Promise<void> {
    const { files } = this.#deps;
    const unread = Array.from({ length: files.length }, (_, index) => index).filter((index) => !files.hasDigest(index));
    for (const indexes of cut(unread, HASH_LIST, (index) => ({ items: 1, bytes: files.size(index) }))) {
      await hashFiles(files, indexes, { ...this.#deps, level: null, scan: this.#deps.baseline !== null });
    }
  }

  /** Once, when every file was read. @throws CliError secrets_found when they are refused */
  #tellSecrets(): void {
    const { files, baseline, options, warn } = this.#deps;
    if (baseline === null || this.secrets !== null) return;
    this.secrets = secretsOf(files, baseline);
    if (options.secrets === 'refuse') refuseSecrets(this.secrets);
    for (const line of secretWarnings(this.secrets)) warn?.(line);
  }

  async #fill(pkg: Package): Promise<Unfinished> {
    const sent = await this.#send(pkg);
    try {
      return await this.#finish(pkg, sent);
    } catch (error) {
      // Bytes that the store said it had are gone: it has noticed, and wants them again.
      if (!isApiError(error, 'files_missing')) throw error;
      this.#deps.note?.('The store has lost bytes that it had: they are sent again.');
      this.#finalizing = false;
      const again = await this.#send({ ...pkg, status: 'created' });
      return this.#finish(pkg, { objects: sent.objects + again.objects, bytes: sent.bytes + again.bytes });
    }
  }

  async #send(pkg: Package): Promise<Sent> {
    const { client, options, files, limits, readers, cache, baseline } = this.#deps;
    const level = takesFrames(limits) ? levelOf(options.compression ?? 'auto') : null;
    const registrar = new Registrar(client, pkg.id, files, limits);
    if (pkg.status !== 'created') await registrar.prepare();
    const parallel = options.parallel ?? DEFAULT_PARALLEL;
    const uploader = new Uploader({ client, packageId: pkg.id, limits, parallel });
    const lookAgain = () => this.#assertSame();
    const scan = baseline !== null;
    const filler = new PackageFiller({ files, limits, readers, level, registrar, uploader, cache, lookAgain, scan });
    this.#sending = { filler, uploader };
    try {
      await filler.fill();
    } finally {
      uploader.close();
    }
    const { objects, bytes } = uploader.totals;
    return { objects, bytes };
  }

  #assertSame(): Promise<void> {
    return this.#deps.lookAgain();
  }

  async #finish(pkg: Package, uploaded: Sent): Promise<Unfinished> {
    const { client, state, files, options } = this.#deps;
    this.#tellSecrets();
    const result = { reused: false, uploaded };
    if (options.finalize === false) return { ...present(await client.getPackage(pkg.id)), ...result };
    this.#finalizing = true;
    const finalized = await client.finalizePackage(pkg.id, {
      file_count: files.length,
      total_size: files.totalBytes,
      files_digest: await filesDigest(files),
      ...this.#secretRecord(),
    });
    await state.clear();
    return { ...present(finalized), ...result };
  }

  /** What the package records of them; an older service records nothing. */
  #secretRecord(): { secrets?: SecretRecord } {
    const { limits, note } = this.#deps;
    const record = this.secrets === null ? null : recordOf(this.secrets);
    if (record === null) return {};
    if ((limits as Partial<Limits>).secret_places_max !== undefined) return { secrets: record };
    note?.('The service is too old to record with the package which secrets its files have.');
    return {};
  }
}

/**
 * The rules that a package is made with; a service of version 0.1.0 knows none.
 * @throws CliError wrong_usage when somebody asked for them there
 */
function rulesFor(
  { file_rules_max }: Partial<Limits>,
  { fileRules = [], derived }: PushOptions,
  note: PushProgress['note'],
): FileRule[] | undefined {
  if (fileRules.length === 0) return undefined;
  if (file_rules_max !== undefined) return [...fileRules];
  if (!derived) throw usageError('The service is too old for --file-rule: every file is kept as long as the package.');
  note?.('The service is too old for file rules: every file is kept as long as the package.');
  return undefined;
}

/** A service of version 0.1.0 knows no encodings. */
function takesFrames({ frames_per_call }: Partial<Limits>): boolean {
  return frames_per_call !== undefined;
}

/** Whoever pushes to have them kept must know. */
function sayRemoved({ id, deleted_file_count }: Package): string {
  const are = deleted_file_count === 1 ? 'was' : 'were';
  return `${countOf(deleted_file_count, 'file')} of ${id} ${are} removed since, when their time was over: ${deleted_file_count === 1 ? 'its bytes are' : 'their bytes are'} not kept.`;
}

function present(pkg: Package): Omit<Unfinished, 'reused' | 'uploaded'> {
  const { id, status, manifest_digest, file_count, total_size, retention } = pkg;
  return { package_id: id, status, manifest_digest, file_count, total_size, expires_at: retention.expires_at };
}
