import type { Package } from '../../../src/api/types.ts';
import type { Limits } from '../../../src/core/limits.ts';
import { isApiError } from '../../errors.ts';
import type { ProgressReport } from '../../progress.ts';
import type { ApiClient } from '../api/api-client.ts';
import type { Baseline } from '../secrets/baseline.ts';
import { levelOf } from '../tree/compression.ts';
import type { FileCache } from '../tree/file-cache.ts';
import type { FileList } from '../tree/file-list.ts';
import type { Readers } from '../tree/readers.ts';
import { filesDigest } from './files-digest.ts';
import { PackageFiller } from './package-filler.ts';
import type { PushLook } from './push-look.ts';
import type { PushOptions } from './push-order.ts';
import type { PushState } from './push-state.ts';
import { Registrar } from './registrar.ts';
import type { ToldSecrets } from './told-secrets.ts';
import { Uploader } from './uploader.ts';

export interface FillDeps {
  client: ApiClient;
  options: PushOptions;
  lookAgain: PushLook['lookAgain'];
  state: PushState;
  files: FileList;
  cache: FileCache;
  readers: Readers;
  limits: Limits;
  /** News for people. */
  note: ((text: string) => void) | undefined;
  /** Null: nobody looks for secrets. */
  baseline: Baseline | null;
  secrets: ToldSecrets;
}

/** What was sent. */
export interface Sent {
  objects: number;
  bytes: number;
}

/** A package as it is now, and what this push did for it. */
export interface Filled {
  package_id: string;
  status: Package['status'];
  manifest_digest: string | null;
  file_count: number;
  total_size: number;
  /** The content was there already, in a finalized package. */
  reused: boolean;
  uploaded: Sent;
  expires_at: string | null;
}

const DEFAULT_PARALLEL = 8;

/** Fills an open package with the directory, and finalizes it. */
export class PackageFill {
  readonly #deps: FillDeps;
  #sending: { filler: PackageFiller; uploader: Uploader } | null = null;
  #finalizing = false;

  constructor(deps: FillDeps) {
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

  async fill(pkg: Package): Promise<Filled> {
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
    const { client, options, files, limits, readers, cache, lookAgain, baseline } = this.#deps;
    const level = takesFrames(limits) ? levelOf(options.compression ?? 'auto') : null;
    const registrar = new Registrar(client, pkg.id, files, limits);
    if (pkg.status !== 'created') await registrar.prepare();
    const parallel = options.parallel ?? DEFAULT_PARALLEL;
    const uploader = new Uploader({ client, packageId: pkg.id, limits, parallel });
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

  async #finish(pkg: Package, uploaded: Sent): Promise<Filled> {
    const { client, state, files, options, limits, secrets } = this.#deps;
    secrets.tell();
    const result = { reused: false, uploaded };
    if (options.finalize === false) return { ...present(await client.getPackage(pkg.id)), ...result };
    this.#finalizing = true;
    const finalized = await client.finalizePackage(pkg.id, {
      file_count: files.length,
      total_size: files.totalBytes,
      files_digest: await filesDigest(files),
      ...secrets.record(limits),
    });
    await state.clear();
    return { ...present(finalized), ...result };
  }
}

/** A service of version 0.1.0 knows no encodings. */
function takesFrames({ frames_per_call }: Partial<Limits>): boolean {
  return frames_per_call !== undefined;
}

/** What a push tells of a package. */
export function present(pkg: Package): Omit<Filled, 'reused' | 'uploaded'> {
  const { id, status, manifest_digest, file_count, total_size, retention } = pkg;
  return { package_id: id, status, manifest_digest, file_count, total_size, expires_at: retention.expires_at };
}
