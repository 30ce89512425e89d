import type { Limits } from '../../../src/core/limits.ts';
import type { ApiClient } from '../api/api-client.ts';
import { chunks, forEachLimit } from '../concurrency.ts';
import { type FileIndex, type FileList, RAW_DIGEST_SIZE } from '../tree/file-list.ts';
import { mediaTypeOf } from './media-types.ts';

/** While the service works on one call the next one is on its way. */
const CALLS_AT_ONCE = 3;

/** Registers files of a directory in a package. */
export class Registrar {
  readonly #client: ApiClient;
  readonly #packageId: string;
  readonly #files: FileList;
  readonly #limits: Limits;
  /** Digests that the package has from before, 32 bytes for each file; zeros for none. */
  #before: Buffer | null = null;

  constructor(client: ApiClient, packageId: string, files: FileList, limits: Limits) {
    this.#client = client;
    this.#packageId = packageId;
    this.#files = files;
    this.#limits = limits;
  }

  /** Checks the files that the package already has: those that are gone from the directory are removed. */
  async prepare(): Promise<void> {
    const before = Buffer.alloc(this.#files.length * RAW_DIGEST_SIZE);
    const gone: string[] = [];
    let next = 0;
    for await (const { path, digest } of this.#client.files(this.#packageId)) {
      const index = this.#files.indexOf(path, next);
      if (index === -1) gone.push(path);
      else before.write(digest.slice('sha256:'.length), index * RAW_DIGEST_SIZE, 'hex');
      if (index !== -1) next = index + 1;
    }
    for (const path of gone) await this.#client.removeFile(this.#packageId, path);
    this.#before = before;
  }

  /**
   * Files that have a digest.
   * @param again they are registered with another one
   * @returns those whose bytes the service does not have
   */
  async register(indexes: readonly FileIndex[], again = false): Promise<FileIndex[]> {
    const missing = new Set<string>();
    await forEachLimit(chunks(indexes, this.#limits.files_per_call), CALLS_AT_ONCE, async (batch) => {
      const { files } = await this.#client.registerFiles(
        this.#packageId,
        batch.map((index) => this.#describe(index, again)),
      );
      for (const { digest, state } of files) if (state === 'missing') missing.add(digest);
    });
    return missing.size === 0 ? [] : indexes.filter((index) => missing.has(this.#files.digest(index)));
  }

  #describe(index: FileIndex, again: boolean) {
    const files = this.#files;
    const path = files.path(index);
    const media_type = mediaTypeOf(path);
    return {
      path,
      digest: files.digest(index),
      size: files.size(index),
      mtime: files.mtime(index),
      ...(files.executable(index) ? { executable: true } : {}),
      ...(media_type === undefined ? {} : { media_type }),
      ...(again || this.#isAnotherOne(index) ? { replace: true } : {}),
    };
  }

  #isAnotherOne(index: FileIndex): boolean {
    if (this.#before === null) return false;
    const at = index * RAW_DIGEST_SIZE;
    const before = this.#before.subarray(at, at + RAW_DIGEST_SIZE);
    return !before.equals(this.#files.rawDigest(index)) && before.some((byte) => byte !== 0);
  }
}
