import { setTimeout as sleep } from 'node:timers/promises';
import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import type { Limits } from '../../src/core/limits.ts';
import { ApiError, CliError, EXIT, isApiError } from '../errors.ts';
import type { ApiClient } from './api-client.ts';
import { chunks, forEachLimit, Slots } from './concurrency.ts';
import type { HashedFile } from './hash.ts';
import { type Agents, closeAgents, newAgents } from './http.ts';
import { assertUnchanged, fileChanged } from './local-file.ts';
import { sendPart } from './part-sender.ts';
import { connectionFailure, withRetries } from './retry.ts';

export interface UploaderOptions {
  client: ApiClient;
  packageId: string;
  limits: Limits;
  /** Parts in flight. */
  parallel: number;
}

const PART_TRIES = 8;
/** How often an object is planned again before its upload is called failed. */
const PLAN_ROUNDS = 5;
const POLL_MS = 500;
const COMMITS_AT_ONCE = 16;

/** The upload is over, and its object may be planned again. */
class PlanAgain extends Error {}

/**
 * Sends objects: plan, PUT the parts that storage does not have, commit each as soon as its parts are there. An upload
 * that the service gave up is planned again; a lost part is sent again.
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #agents: Agents;
  readonly #parts: Slots;
  readonly #commits = new Slots(COMMITS_AT_ONCE);
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #failure: { error: unknown } | null = null;
  /** Objects sent, and their bytes; bytes on the wire, including those of parts that are not done. */
  readonly totals = { objects: 0, bytes: 0, wire: 0 };

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#parts = new Slots(options.parallel);
    this.#agents = newAgents(options.parallel);
    this.#signal = AbortSignal.any([options.client.signal, this.#stopped.signal]);
  }

  /** Ends what is on the wire: for a push that failed elsewhere. */
  stop(): void {
    this.#stopped.abort();
  }

  close(): void {
    closeAgents(this.#agents);
  }

  /**
   * Sends each file's bytes; no digest may stand twice in the list. The first failure of all ends every object that is
   * on its way, and is what each `send` throws.
   */
  async send(files: readonly HashedFile[]): Promise<void> {
    try {
      await this.#sendAll(files);
    } catch (error) {
      this.#failure ??= { error };
      this.stop();
      throw this.#failure.error;
    }
  }

  async #sendAll(files: readonly HashedFile[]): Promise<void> {
    const { limits } = this.#options;
    for (const batch of this.#batches(files)) {
      const uploads = await this.#plan(batch);
      const work = batch.map((file, index) => ({ file, upload: uploads[index] as PlannedUpload }));
      // Enough objects at once that small ones keep every slot busy while others are committed.
      const atOnce = Math.min(limits.objects_per_call, this.#options.parallel + COMMITS_AT_ONCE);
      await forEachLimit(work, atOnce, ({ file, upload }) => this.#sendObject(file, upload));
    }
  }

  *#batches(files: readonly HashedFile[]): Generator<HashedFile[]> {
    const { objects_per_call, parts_per_call } = this.#options.limits;
    for (const list of chunks(files, objects_per_call)) {
      let batch: HashedFile[] = [];
      let parts = 0;
      for (const file of list) {
        const count = file.parts?.length ?? 1;
        if (batch.length > 0 && parts + count > parts_per_call) {
          yield batch;
          batch = [];
          parts = 0;
        }
        batch.push(file);
        parts += count;
      }
      yield batch;
    }
  }

  async #plan(files: readonly HashedFile[]): Promise<PlannedUpload[]> {
    const { client, packageId } = this.#options;
    const { uploads } = await client.planUploads(
      packageId,
      files.map(({ digest, size, parts }) => ({ digest, size, ...(parts === null ? {} : { parts }) })),
    );
    const byDigest = new Map(uploads.map((upload) => [upload.digest, upload]));
    return files.map(({ digest }) => {
      const upload = byDigest.get(digest);
      if (upload) return upload;
      throw new CliError(`The service planned no upload for ${digest}.`, { exit: EXIT.failed, code: 'failed' });
    });
  }

  async #sendObject(file: HashedFile, planned: PlannedUpload): Promise<void> {
    let upload: PlannedUpload | undefined = planned;
    for (let round = 1; ; round += 1) {
      upload ??= (await this.#plan([file]))[0] as PlannedUpload;
      try {
        await this.#sendUpload(file, upload);
        return;
      } catch (error) {
        if (!(error instanceof PlanAgain)) throw this.#failed(error);
        if (round === PLAN_ROUNDS) throw this.#failed(gaveUp(file, error.message));
        upload = undefined;
      }
    }
  }

  #failed(error: unknown): unknown {
    this.#failure ??= { error };
    this.stop();
    return error;
  }

  async #sendUpload(file: HashedFile, { upload_id, state, parts }: PlannedUpload): Promise<void> {
    if (state === 'stored' || upload_id === null) return;
    const missing = parts.filter(({ received }) => !received);
    await forEachLimit(missing, this.#options.parallel, (part) =>
      this.#parts.use(() => this.#sendPart(file, upload_id, part)),
    );
    await assertUnchanged(file);
    await this.#commits.use(() => this.#commit(file, upload_id));
    this.totals.objects += 1;
    this.totals.bytes += missing.reduce((sum, { size }) => sum + size, 0);
  }

  async #sendPart(file: HashedFile, uploadId: string, planned: PartRequest): Promise<void> {
    let part = planned;
    await withRetries({ tries: PART_TRIES, signal: this.#signal, again: isWorthAnotherTry }, async () => {
      let counted = 0;
      try {
        await sendPart(part, file, {
          agents: this.#agents,
          signal: this.#signal,
          sent: (bytes) => {
            counted += bytes;
            this.totals.wire += bytes;
          },
        });
      } catch (error) {
        this.totals.wire -= counted;
        part = await this.#afterFailure(file, uploadId, part, error);
        throw error;
      }
    });
  }

  /** @returns the part to try next; throws what must not be tried again */
  async #afterFailure(file: HashedFile, uploadId: string, part: PartRequest, error: unknown): Promise<PartRequest> {
    if (!(error instanceof ApiError)) return part;
    if (isOver(error)) throw new PlanAgain(error.detail);
    if (error.code === 'part_digest_mismatch') {
      await assertUnchanged(file);
      throw fileChanged(file.path, 'no longer had the bytes that were hashed');
    }
    // The URL expired, or the service's key changed: another one may do.
    if (error.status !== 403) return part;
    try {
      const { parts } = await this.#options.client.partUrls(uploadId, [part.number]);
      return parts[0] ?? part;
    } catch (problem) {
      throw isOver(problem) ? new PlanAgain((problem as Error).message) : problem;
    }
  }

  async #commit(file: HashedFile, uploadId: string): Promise<void> {
    const { client } = this.#options;
    try {
      const { state } = await client.commitUpload(uploadId);
      if (state === 'stored') return;
      while (true) {
        await sleep(POLL_MS, undefined, { signal: this.#signal });
        const upload = await client.getUpload(uploadId);
        if (upload.state === 'committed') return;
        if (upload.state === 'open' || upload.state === 'completing') continue;
        if (upload.failure && upload.failure.code !== 'upload_abandoned') throw mismatch(file, upload.failure.detail);
        throw new PlanAgain(upload.failure?.detail ?? `the upload is ${upload.state}`);
      }
    } catch (error) {
      if (isApiError(error, 'digest_mismatch', 'size_mismatch')) throw mismatch(file, error.detail);
      if (isOver(error) || isApiError(error, 'upload_incomplete')) throw new PlanAgain((error as Error).message);
      throw error;
    }
  }
}

/** A full disk stays full; what else storage answers may pass, and for a 403 there are fresh URLs. */
function isWorthAnotherTry(error: unknown): boolean {
  if (!(error instanceof ApiError)) return connectionFailure(error) !== null;
  return error.status === 403 || error.status === 429 || (error.status >= 500 && error.status !== 507);
}

/** This upload will take nothing more. */
function isOver(error: unknown): boolean {
  return isApiError(error, 'upload_closed', 'upload_not_found', 'upload_abandoned', 'part_not_found');
}

function gaveUp(file: HashedFile, why: string): CliError {
  return new CliError(`${JSON.stringify(file.path)} could not be stored in ${PLAN_ROUNDS} attempts: ${why}`, {
    exit: EXIT.failed,
    code: 'upload_abandoned',
    next: 'Run the same command again later: what is stored is not sent again.',
    extras: { path: file.path, digest: file.digest },
  });
}

function mismatch(file: HashedFile, why: string): CliError {
  return new CliError(`${JSON.stringify(file.path)} arrived with other bytes: ${why}`, {
    exit: EXIT.integrity,
    code: 'digest_mismatch',
    extras: { path: file.path, digest: file.digest },
  });
}
