import type { Limits } from '../../../src/core/limits.ts';
import { partSizeFor } from '../../../src/core/part-plan.ts';
import { Pool } from '../../../src/core/pool.ts';
import { Countdown, cut, forEachLimit } from '../concurrency.ts';
import type { FileCache } from '../tree/file-cache.ts';
import type { FileIndex, FileList } from '../tree/file-list.ts';
import { fileSeemsCompressible } from '../tree/hash-file.ts';
import { hashFiles } from '../tree/hash-files.ts';
import { cutPacks, packMemory } from '../tree/pack-builder.ts';
import { PackMemory } from '../tree/pack-memory.ts';
import type { HashedFile, Readers } from '../tree/readers.ts';
import { DigestClaims } from './digest-claims.ts';
import { fileObject, type Sending } from './objects.ts';
import { packObject } from './pack-object.ts';
import type { Registrar } from './registrar.ts';
import type { Uploader } from './uploader.ts';

/** Packs in memory: being read, registered, on the wire. */
const PACKS_IN_MEMORY = 3;
/** And beside them those that are being verified. */
const PACKS_AT_ONCE = 8;
/** The first one is small, so that the service has something to do soon. */
const FIRST_PACK_SHARE = 4;
/** Large files are hashed in lists of about so many bytes; while some are sent the next ones are hashed. */
const LIST = { items: 100, bytes: 256 * 1024 ** 2 };
const LISTS_AT_ONCE = 4;

export interface FillerDeps {
  files: FileList;
  /** Called when every byte that the store lacked, as far as is known, is on its way out of here; once more where it lacked others. */
  lookAgain: () => Promise<void>;
  limits: Limits;
  readers: Readers;
  /** At which what seems compressible is compressed; null: nothing is. */
  level: number | null;
  registrar: Registrar;
  uploader: Uploader;
  cache: FileCache;
  /** Whether the files are looked through for secrets. */
  scan: boolean;
}

/** Files whose digests the service was told, or not yet. */
interface List {
  indexes: FileIndex[];
  registered: boolean;
}

/**
 * Gets a directory's files into a package, everything overlapping:
 *
 *     files with a digest ─▶ register ─▶ missing: to one of these, as if they had none
 *     small files ─────────▶ read into a pack ─▶ register ─▶ leave out what is stored, compress ─▶ send the pack
 *     large files ─────────▶ hash, compress ───▶ register ─▶ send what is missing, from the disk
 *
 * Memory is bounded by PACKS_IN_MEMORY packs, whatever the directory. The bytes of small files that are sent are those
 * that were hashed, so a wrong digest in the cache does no harm.
 */
export class PackageFiller {
  readonly #files: FileList;
  readonly #deps: FillerDeps;
  readonly #memory: Pool<SharedArrayBuffer>;
  /** Each digest is sent once in the whole push. */
  readonly #claims: DigestClaims;
  /** Files that have to be read, as far as can be told before the service was asked. */
  #unread = new Countdown(0);
  #failure: { error: unknown } | null = null;
  /** Files whose own bytes need not be sent, and those bytes. */
  readonly settled = { files: 0, bytes: 0 };

  constructor(deps: FillerDeps) {
    const { files, limits } = deps;
    this.#deps = deps;
    this.#files = files;
    this.#claims = new DigestClaims(files);
    this.#memory = new Pool(PACKS_IN_MEMORY, () => new SharedArrayBuffer(packMemory(limits)));
  }

  /** Registers every file and sends what the service does not have. */
  async fill(): Promise<void> {
    const { known, small, large } = this.#sort();
    this.#unread = new Countdown(small.length + large.length);
    const missing = this.#deps.registrar.register(known);
    await Promise.all([
      this.#lane(missing.then((indexes) => this.#settle(known, indexes))),
      this.#lane(forEachLimit(this.#packs(small, missing), PACKS_AT_ONCE, (list) => this.#sendPack(list))),
      this.#lane(forEachLimit(this.#lists(large, missing), LISTS_AT_ONCE, (list) => this.#sendLarge(list))),
      this.#lane(this.#unread.done.then(() => (this.#failure ? undefined : this.#deps.lookAgain()))),
    ]);
    if (this.#failure) throw this.#failure.error;
    // Known files that the store lacked were read all the same, maybe after that look.
    if ((await missing).length > 0) await this.#deps.lookAgain();
  }

  #sort(): Record<'known' | 'small' | 'large', FileIndex[]> {
    const sorted = { known: [] as FileIndex[], small: [] as FileIndex[], large: [] as FileIndex[] };
    for (let index = 0; index < this.#files.length; index += 1) {
      const kind = this.#files.hasDigest(index) ? 'known' : this.#isSmall(index) ? 'small' : 'large';
      sorted[kind].push(index);
    }
    return sorted;
  }

  /** Of a file that is sent as it is: parts are remembered as an earlier service wanted them. */
  #hasParts(index: FileIndex): boolean {
    const size = this.#files.size(index);
    const partSize = partSizeFor(size, this.#deps.limits);
    return partSize === size || this.#files.parts(index)?.[0]?.size === partSize;
  }

  #asIs(index: FileIndex): HashedFile {
    const file = this.#files.at(index);
    return { ...file, digest: this.#files.digest(index), parts: this.#files.parts(index), stored: null, secrets: null };
  }

  #isSmall(index: FileIndex): boolean {
    return this.#files.size(index) <= this.#deps.limits.pack_member_max;
  }

  async #lane(work: Promise<void>): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#fail(error);
      await this.#deps.readers.stop();
    }
  }

  /** One failure ends everything; what fails after it is its echo. */
  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#unread.end();
    this.#memory.end();
    this.#deps.uploader.stop();
  }

  async *#packs(unread: readonly FileIndex[], missing: Promise<FileIndex[]>): AsyncGenerator<List> {
    const { limits } = this.#deps;
    const sizeOf = (index: FileIndex) => this.#files.size(index);
    const [first = []] = cutPacks(unread, sizeOf, { ...limits, pack_target: limits.pack_target / FIRST_PACK_SHARE });
    if (first.length > 0) yield { indexes: first, registered: false };
    for (const indexes of cutPacks(unread.slice(first.length), sizeOf, limits)) yield { indexes, registered: false };
    const small = (await missing).filter((index) => this.#isSmall(index));
    for (const indexes of cutPacks(small, sizeOf, limits)) {
      yield { indexes, registered: true };
    }
  }

  async *#lists(unread: readonly FileIndex[], missing: Promise<FileIndex[]>): AsyncGenerator<List> {
    const cutLists = (indexes: readonly FileIndex[]) =>
      cut(indexes, LIST, (index) => ({ items: 1, bytes: this.#files.size(index) }));
    for (const indexes of cutLists(unread)) yield { indexes, registered: false };
    for (const indexes of cutLists((await missing).filter((index) => !this.#isSmall(index)))) {
      yield { indexes, registered: true };
    }
  }

  async #sendPack({ indexes, registered }: List): Promise<void> {
    if (this.#failure) return;
    const pack = new PackMemory(this.#files, indexes, this.#deps.readers, this.#memory, this.#deps.scan);
    try {
      const readAt = Date.now();
      await pack.hold();
      // Of which another digest was remembered.
      const wrong = this.#files.setDigests(indexes, pack.digests);
      if (this.#deps.scan) setSecrets(this.#files, indexes, pack.secrets);
      this.#deps.cache.save(this.#files, indexes, readAt);
      const missing = registered
        ? [...without(indexes, wrong), ...(await this.#deps.registrar.register(wrong, true))]
        : await this.#deps.registrar.register(indexes);
      const claimed = missing.filter((index) => this.#claims.claim(index));
      this.#settle(indexes, claimed);
      const { readers, level } = this.#deps;
      const object = await packObject(this.#files, indexes, claimed, pack, async (memory, frames) =>
        level === null ? null : readers.compress(memory, frames, level),
      );
      const handed = () => this.#unread.less(registered ? 0 : indexes.length);
      if (object) await this.#deps.uploader.send([object], handed);
      else handed();
    } catch (error) {
      // At once: those that wait for memory must not begin.
      this.#fail(error);
      throw error;
    } finally {
      pack.release();
    }
  }

  async #sendLarge({ indexes, registered }: List): Promise<void> {
    if (this.#failure) return;
    const { readers, level, registrar, uploader } = this.#deps;
    const sending: Sending = {
      makeAgain: (file, content) => readers.frames(file, { level: level ?? 0, ...content }),
      letGo: (file) => readers.letGo(file),
    };
    const hashed = new Map<FileIndex, HashedFile>();
    if (!registered) await this.#hash(indexes, hashed);
    const missing = registered ? indexes : await registrar.register(indexes);
    const claimed = missing.filter((index) => this.#claims.claim(index));
    this.#settle(indexes, claimed);
    for (const [index, file] of hashed) if (!claimed.includes(index)) readers.letGo(file);
    if (registered) await this.#hashAgain(claimed, hashed);
    if (!registered) this.#unread.less(indexes.length - claimed.length);
    const objects = claimed.map((index) => fileObject(hashed.get(index) ?? this.#asIs(index), sending));
    await uploader.send(objects, () => this.#unread.less(registered ? 0 : 1));
  }

  async #hash(indexes: readonly FileIndex[], hashed: Map<FileIndex, HashedFile>): Promise<void> {
    const files = await hashFiles(this.#files, indexes, this.#deps);
    for (const [place, file] of files.entries()) hashed.set(indexes[place] as FileIndex, file);
  }

  /** Files whose digests were remembered, and which have to be read once more: to be compressed, or cut into parts. */
  async #hashAgain(indexes: readonly FileIndex[], hashed: Map<FileIndex, HashedFile>): Promise<void> {
    const { level } = this.#deps;
    const again = indexes.filter((index) => {
      return !this.#hasParts(index) || (level !== null && fileSeemsCompressible(this.#files.at(index), level));
    });
    const before = again.map((index) => this.#files.digest(index));
    await this.#hash(again, hashed);
    const wrong = again.filter((index, place) => this.#files.digest(index) !== before[place]);
    if (wrong.length > 0) await this.#deps.registrar.register(wrong, true);
  }

  #settle(indexes: readonly FileIndex[], others: readonly FileIndex[]): void {
    for (const index of without(indexes, others)) {
      this.settled.files += 1;
      this.settled.bytes += this.#files.size(index);
    }
  }
}

/** @param found of the files that have any, by their places among these */
function setSecrets(files: FileList, indexes: readonly FileIndex[], found: PackMemory['secrets']): void {
  for (const index of indexes) files.setSecrets(index, []);
  for (const [place, secrets] of found) files.setSecrets(indexes[place] as FileIndex, secrets);
}

function without(indexes: readonly FileIndex[], others: readonly FileIndex[]): readonly FileIndex[] {
  if (others.length === 0) return indexes;
  const out = new Set(others);
  return indexes.filter((index) => !out.has(index));
}
