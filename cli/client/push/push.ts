import type { Package } from '../../../src/api/types.ts';
import type { Limits } from '../../../src/core/limits.ts';
import type { FileRule } from '../../../src/core/retention.ts';
import type { SecretPlace } from '../../../src/core/secret-record.ts';
import { isApiError, usageError } from '../../errors.ts';
import { countOf } from '../../format.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import { listedFiles, packageFiles } from '../api/package-files.ts';
import { compareFiles, countDifferences } from '../compare.ts';
import { cut } from '../concurrency.ts';
import type { PackageFile } from '../package-file.ts';
import { FileCache } from '../tree/file-cache.ts';
import { hashFiles } from '../tree/hash-files.ts';
import { Readers } from '../tree/readers.ts';
import { type Asked, askedDifferences, assertClass, type ClassDays, refuseOpen } from './asked.ts';
import { type FillDeps, type Filled, PackageFill, present } from './fill-package.ts';
import { lookForPush, type PushLook } from './push-look.ts';
import type { PushOptions } from './push-order.ts';
import { askedBy, assertUsable, differs, LOST_SHOWN, lostInStore } from './push-refusals.ts';
import { readBaseline } from './push-secrets.ts';
import { pushState } from './push-state.ts';
import { ToldSecrets } from './told-secrets.ts';

export interface PushProgress {
  /** Handed a function that says, whenever asked, how far the push is. */
  watch?: (report: () => ProgressReport) => void;
  /** News for people. */
  note?: (text: string) => void;
  /** What must be seen. */
  warn?: (text: string) => void;
}

export interface PushResult extends Filled {
  /** What had to be read: files that the cache did not know, or whose bytes the service did not have. */
  read: { files: number; bytes: number };
  /** Secrets in the files, those that the baseline accepts included; null: nobody looked. */
  secret_count: number | null;
  /** The first 1,000 of them, in the order of paths. */
  secrets: SecretPlace[] | null;
  seconds: number;
}

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
    const { note, warn } = progress;
    const secrets = new ToldSecrets({ files, baseline, policy, note, warn });
    const deps = { ...parts, files, cache, readers, limits, secrets, note };
    const fill = new PackageFill(deps);
    progress.watch?.(() => fill.report());
    const result = await new Push(deps, fill).run();
    const read = { files: readers.files, bytes: readers.bytes };
    const { count = null, places = null } = secrets.findings ?? {};
    const found = { secret_count: count, secrets: places };
    return { ...result, read, ...found, seconds: Math.round(performance.now() - started) / 1_000 };
  } finally {
    client.signal.removeEventListener('abort', stop);
    cache.close();
    await readers.stop();
  }
}

interface PushDeps extends FillDeps {
  name: string;
  /** What an existing package is compared with. */
  asked: Asked;
}

/** Which package is filled or compared with, and how it ends. */
class Push {
  readonly #deps: PushDeps;
  readonly #fill: PackageFill;

  constructor(deps: PushDeps, fill: PackageFill) {
    this.#deps = deps;
    this.#fill = fill;
  }

  async run(): Promise<Filled> {
    const { client, options } = this.#deps;
    if (options.secrets === 'refuse') {
      await this.#hashAll();
      this.#deps.secrets.tell();
    }
    const { pkg, created } = await this.#open();
    if (pkg.status === 'finalized') return this.#compare(pkg);
    if (!created) await this.#assertAsked(pkg);
    try {
      return await this.#fill.fill(pkg);
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

  async #compare(pkg: Package): Promise<Filled> {
    const { client, state, files, options } = this.#deps;
    const [theirs, classes] = await Promise.all([this.#filesOf(pkg), this.#classes(), this.#hashAll()]);
    this.#deps.secrets.tell();
    await this.#deps.lookAgain();
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
      return this.#fill.fill(revision.pkg);
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

/** Whoever pushes to have them kept must know. */
function sayRemoved({ id, deleted_file_count }: Package): string {
  const are = deleted_file_count === 1 ? 'was' : 'were';
  return `${countOf(deleted_file_count, 'file')} of ${id} ${are} removed since, when their time was over: ${deleted_file_count === 1 ? 'its bytes are' : 'their bytes are'} not kept.`;
}
