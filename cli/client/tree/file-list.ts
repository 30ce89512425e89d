import type { BigIntStats } from 'node:fs';
import { type Digest, digestToBytes, EMPTY_DIGEST } from '../../../src/core/digest.ts';
import type { LogicalPath } from '../../../src/core/logical-path.ts';
import type { ComparedFile } from '../compare.ts';
import type { FoundSecret } from '../secrets/find-secrets.ts';
import { CTIME, DEV, type FileBatch, IDENTITY_FIELDS, INO, identityAt, MTIME, SIZE } from './file-batch.ts';
import type { FileIdentity, FoundFile } from './local-file.ts';

export const IDENTITY_SIZE = IDENTITY_FIELDS * 8;
export const RAW_DIGEST_SIZE = 32;
const FIRST_FILES = 1_024;
const PATH_GUESS = 48;
/** Old columns and new ones are in memory together while they grow. */
const GROWTH = 1.5;

const EMPTY_RAW = digestToBytes(EMPTY_DIGEST);

/** What is known of a file beside its name. */
export type FileStats = Pick<BigIntStats, 'dev' | 'ino' | 'size' | 'mtimeNs' | 'ctimeNs' | 'mode'>;

/** A file's place in its list. */
export type FileIndex = number;

/** A part of a file that is sent in several. */
export interface FilePart {
  digest: Digest;
  size: number;
}

/**
 * The regular files of a directory, in the order of manifests (the paths' UTF-8 bytes), and their digests as far as they
 * are known. In columns, outside of the JavaScript heap: half a million files take some 70 MB.
 */
export class FileList {
  /** The directory's real path. */
  readonly root: string;
  #length = 0;
  #totalBytes = 0;
  #paths = Buffer.allocUnsafeSlow(FIRST_FILES * PATH_GUESS);
  /** Where each path ends in #paths. */
  #ends = new Uint32Array(FIRST_FILES);
  #identities = new BigInt64Array(FIRST_FILES * IDENTITY_FIELDS);
  #executable = new Uint8Array(FIRST_FILES);
  #digests = Buffer.alloc(FIRST_FILES * RAW_DIGEST_SIZE);
  #hashed = new Uint8Array(FIRST_FILES);
  /** Only of files that are sent in several parts. */
  readonly #parts = new Map<FileIndex, FilePart[]>();
  /** Whether a file was looked through for secrets; and what was found, of those that have any. */
  #scanned = new Uint8Array(FIRST_FILES);
  readonly #secrets = new Map<FileIndex, readonly FoundSecret[]>();
  /** Of files that a symlink led to: where they are. */
  readonly #elsewhere = new Map<FileIndex, string>();

  constructor(root: string) {
    this.root = root;
  }

  get length(): number {
    return this.#length;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Files come in order. What an empty one holds is known. */
  add(path: string, absolute: string, stats: FileStats): void {
    const index = this.#length;
    if (index === this.#ends.length) this.#growFiles();
    const start = this.#start(index);
    while (this.#paths.length - start < path.length * 3) this.#growPaths();
    this.#ends[index] = start + this.#paths.write(path, start);
    const at = index * IDENTITY_FIELDS;
    this.#identities[at + DEV] = stats.dev;
    this.#identities[at + INO] = stats.ino;
    this.#identities[at + SIZE] = stats.size;
    this.#identities[at + MTIME] = stats.mtimeNs;
    this.#identities[at + CTIME] = stats.ctimeNs;
    this.#executable[index] = (stats.mode & 0o111n) === 0n ? 0 : 1;
    if (absolute !== `${this.root}/${path}`) this.#elsewhere.set(index, absolute);
    if (stats.size === 0n) {
      this.setDigest(index, EMPTY_RAW);
      this.setSecrets(index, []);
    }
    this.#length += 1;
    this.#totalBytes += Number(stats.size);
  }

  path(index: FileIndex): LogicalPath {
    return this.#paths.toString('utf8', this.#start(index), this.#end(index)) as LogicalPath;
  }

  /** Without symlinks, so that it can be opened with O_NOFOLLOW. */
  absolute(index: FileIndex): string {
    return this.#elsewhere.get(index) ?? `${this.root}/${this.path(index)}`;
  }

  size(index: FileIndex): number {
    return Number(this.#identities[index * IDENTITY_FIELDS + SIZE]);
  }

  /** RFC 3339, UTC, whole milliseconds; years as four digits, which file systems do not keep to. */
  mtime(index: FileIndex): string {
    const ms = Number((this.#identities[index * IDENTITY_FIELDS + MTIME] as bigint) / 1_000_000n);
    return new Date(Math.min(Math.max(ms, TIME_FIRST), TIME_LAST)).toISOString();
  }

  executable(index: FileIndex): boolean {
    return this.#executable[index] === 1;
  }

  /** For a list of the same files under other paths. */
  stats(index: FileIndex): FileStats {
    return { ...this.identity(index), mode: this.executable(index) ? 0o111n : 0n };
  }

  identity(index: FileIndex): FileIdentity {
    return identityAt(this.#identities, index);
  }

  /** Whether the file that was looked at now is the one that was found. */
  isStill(index: FileIndex, stats: BigIntStats): boolean {
    const [identities, at] = [this.#identities, index * IDENTITY_FIELDS];
    return (
      identities[at + SIZE] === stats.size &&
      identities[at + MTIME] === stats.mtimeNs &&
      identities[at + CTIME] === stats.ctimeNs &&
      identities[at + INO] === stats.ino &&
      identities[at + DEV] === stats.dev
    );
  }

  /** Some of the files, for a thread that reads them. */
  batch(indexes: readonly FileIndex[]): FileBatch {
    const ends = new Uint32Array(indexes.length);
    const identities = new BigInt64Array(indexes.length * IDENTITY_FIELDS);
    const [from, to] = [Buffer.from(this.#identities.buffer), Buffer.from(identities.buffer)];
    let end = 0;
    for (const [place, index] of indexes.entries()) {
      from.copy(to, place * IDENTITY_SIZE, index * IDENTITY_SIZE, (index + 1) * IDENTITY_SIZE);
      end += this.#elsewhere.has(index)
        ? Buffer.byteLength(this.absolute(index))
        : this.#end(index) - this.#start(index);
      ends[place] = end;
    }
    const paths = Buffer.allocUnsafeSlow(end);
    for (const [place, index] of indexes.entries()) {
      const at = place === 0 ? 0 : (ends[place - 1] as number);
      if (this.#elsewhere.has(index)) paths.write(this.absolute(index), at);
      else this.#paths.copy(paths, at, this.#start(index), this.#end(index));
    }
    return { root: this.root, paths, ends, identities };
  }

  /** The identity as IDENTITY_SIZE bytes: a view, not a copy. */
  identityBytes(index: FileIndex): Buffer {
    const { buffer } = this.#identities;
    return Buffer.from(buffer, index * IDENTITY_SIZE, IDENTITY_SIZE);
  }

  /** The later of the two times that a write moves, in milliseconds. */
  touchedAt(index: FileIndex): number {
    const at = index * IDENTITY_FIELDS;
    const [mtime, ctime] = [this.#identities[at + MTIME] as bigint, this.#identities[at + CTIME] as bigint];
    return Number((mtime > ctime ? mtime : ctime) / 1_000_000n);
  }

  at(index: FileIndex): FoundFile {
    return {
      path: this.path(index),
      absolute: this.absolute(index),
      size: this.size(index),
      identity: this.identity(index),
    };
  }

  *[Symbol.iterator](): Generator<FoundFile> {
    for (let index = 0; index < this.#length; index += 1) yield this.at(index);
  }

  /** @param from where to look first: whoever asks in order finds every file at once. @returns -1 when it is not there */
  indexOf(path: string, from: FileIndex = 0): FileIndex {
    if (from < this.#length && this.path(from) === path) return from;
    const wanted = Buffer.from(path);
    let [low, high] = [0, this.#length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const order = this.#paths.compare(wanted, 0, wanted.length, this.#start(middle), this.#end(middle));
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle;
    }
    return -1;
  }

  /** What a comparison needs of files that all have a digest. */
  *compared(): Generator<ComparedFile> {
    for (let index = 0; index < this.#length; index += 1) {
      yield { path: this.path(index), digest: this.digest(index), size: this.size(index) };
    }
  }

  /** Files that have no digest, and their bytes. */
  unhashed(): { files: number; bytes: number } {
    const found = { files: 0, bytes: 0 };
    for (let index = 0; index < this.#length; index += 1) {
      if (this.hasDigest(index)) continue;
      found.files += 1;
      found.bytes += this.size(index);
    }
    return found;
  }

  hasDigest(index: FileIndex): boolean {
    return this.#hashed[index] === 1;
  }

  /** Of a file that has one. */
  digest(index: FileIndex): Digest {
    return `sha256:${this.hexDigest(index)}` as Digest;
  }

  /** The 64 hex digits alone. */
  hexDigest(index: FileIndex): string {
    const at = index * RAW_DIGEST_SIZE;
    return this.#digests.toString('hex', at, at + RAW_DIGEST_SIZE);
  }

  /** The first four bytes of a file's digest, as a number: digests are spread evenly, so it serves as a hash. */
  digestStart(index: FileIndex): number {
    return this.#digests.readUInt32LE(index * RAW_DIGEST_SIZE);
  }

  sameDigest(one: FileIndex, other: FileIndex): boolean {
    return this.#compareDigest(one, this.#digests, other) === 0;
  }

  /** A view of 32 bytes. */
  rawDigest(index: FileIndex): Buffer {
    const at = index * RAW_DIGEST_SIZE;
    return this.#digests.subarray(at, at + RAW_DIGEST_SIZE);
  }

  parts(index: FileIndex): FilePart[] | null {
    return this.#parts.get(index) ?? null;
  }

  /** Null: it was not looked through. */
  secrets(index: FileIndex): readonly FoundSecret[] | null {
    return this.#scanned[index] === 1 ? (this.#secrets.get(index) ?? []) : null;
  }

  setSecrets(index: FileIndex, secrets: readonly FoundSecret[]): void {
    this.#scanned[index] = 1;
    if (secrets.length > 0) this.#secrets.set(index, secrets);
    else this.#secrets.delete(index);
  }

  setDigest(index: FileIndex, raw: Uint8Array, parts: FilePart[] | null = null): void {
    this.#digests.set(raw, index * RAW_DIGEST_SIZE);
    this.#hashed[index] = 1;
    if (parts) this.#parts.set(index, parts);
  }

  /** @param digests of these files, 32 bytes each, in their order @returns those that had another one */
  setDigests(indexes: readonly FileIndex[], digests: Uint8Array): FileIndex[] {
    const raw = Buffer.from(digests.buffer, digests.byteOffset, digests.length);
    const others: FileIndex[] = [];
    for (const [place, index] of indexes.entries()) {
      if (this.hasDigest(index) && this.#compareDigest(index, raw, place) !== 0) others.push(index);
      raw.copy(this.#digests, index * RAW_DIGEST_SIZE, place * RAW_DIGEST_SIZE, (place + 1) * RAW_DIGEST_SIZE);
      this.#hashed[index] = 1;
    }
    return others;
  }

  #compareDigest(index: FileIndex, digests: Uint8Array, place: number): number {
    const [at, otherAt] = [index * RAW_DIGEST_SIZE, place * RAW_DIGEST_SIZE];
    return this.#digests.compare(digests, otherAt, otherAt + RAW_DIGEST_SIZE, at, at + RAW_DIGEST_SIZE);
  }

  #start(index: FileIndex): number {
    return index === 0 ? 0 : (this.#ends[index - 1] as number);
  }

  #end(index: FileIndex): number {
    return this.#ends[index] as number;
  }

  #growFiles(): void {
    const room = Math.ceil(this.#ends.length * GROWTH);
    this.#ends = larger(this.#ends, new Uint32Array(room));
    this.#identities = larger(this.#identities, new BigInt64Array(room * IDENTITY_FIELDS));
    this.#executable = larger(this.#executable, new Uint8Array(room));
    this.#digests = larger(this.#digests, Buffer.alloc(room * RAW_DIGEST_SIZE));
    this.#hashed = larger(this.#hashed, new Uint8Array(room));
    this.#scanned = larger(this.#scanned, new Uint8Array(room));
  }

  #growPaths(): void {
    this.#paths = larger(this.#paths, Buffer.allocUnsafeSlow(Math.ceil(this.#paths.length * GROWTH)));
  }
}

const TIME_FIRST = Date.UTC(0, 0, 1);
const TIME_LAST = Date.UTC(9999, 11, 31, 23, 59, 59);

function larger<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from);
  return to;
}
