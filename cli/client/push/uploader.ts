import { setTimeout as sleep } from 'node:timers/promises';
import type { PartRequest, PlannedUpload } from '../../../src/api/types.ts';
import { FRAME_ENTRY_SIZE } from '../../../src/core/frame-table.ts';
import type { Limits } from '../../../src/core/limits.ts';
import { ApiError, isApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import type { Pool } from '../api/connections.ts';
import { isOfConnection } from '../api/failure-rules.ts';
import { notAStore } from '../api/not-a-store.ts';
import { withRetries } from '../api/retry.ts';
import { cut, forEachLimit, Slots } from '../concurrency.ts';
import { mismatch, type SentObject, sentSize, storedAs } from './objects.ts';
import { sendPart } from './part-sender.ts';
import { assertPart, gaveUp, stillVerifying, storageUnreachable, verifyingMost } from './upload-errors.ts';

export interface UploaderOptions {
  client: ApiClient;
  /** Null: they mend what is damaged, and belong to no package. */
  packageId: string | null;
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

/** Files' bytes that storage has: sent now, those of parts under way included, or before. */
interface Arrived {
  moved: number;
  there: number;
}

/**
 * Sends objects: plan, PUT the parts that storage does not have, commit each as soon as its parts are there. An upload
 * that the service gave up is planned again; a lost part is sent again.
 */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #pool: Pool;
  readonly #partSlots: Slots;
  readonly #commits = new Slots(COMMITS_AT_ONCE);
  readonly #stopped = new AbortController();
  readonly #signal: AbortSignal;
  #failure: { error: unknown } | null = null;
  /** Objects sent, their files, and their bytes as they were sent. */
  readonly totals = { objects: 0, files: 0, bytes: 0 };
  /** A pack's own bytes do not count: these add up to the files' sizes. */
  readonly arrived: Arrived = { moved: 0, there: 0 };
  /** Uploads whose bytes the service reads once more before it calls them stored. */
  verifying = 0;

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#partSlots = new Slots(options.parallel);
    this.#pool = options.client.connections.pool(options.parallel);
    this.#signal = AbortSignal.any([options.client.signal, this.#stopped.signal]);
  }

  /** Ends what is on the wire: for a push that failed elsewhere. */
  stop(): void {
    this.#stopped.abort();
  }

  close(): void {
    this.#pool.close();
  }

  /**
   * Sends each object; no digest may appear twice in the list. The first failure ends every object in flight, and each
   * `send` throws it.
   * @param handed called once for each object, when storage has all of its bytes and only the commit is left
   */
  async send(objects: readonly SentObject[], handed: () => void = () => {}): Promise<void> {
    try {
      for (const batch of this.#batches(objects)) {
        const uploads = await this.#plan(batch);
        const work = batch.map((object, index) => ({ object, upload: uploads[index] as PlannedUpload }));
        // Enough objects at once that small ones keep every slot busy while others are committed.
        const atOnce = this.#options.parallel + COMMITS_AT_ONCE;
        await forEachLimit(work, atOnce, ({ object, upload }) => this.#sendObject(object, upload, handed));
      }
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #batches(objects: readonly SentObject[]): Iterable<SentObject[]> {
    const { objects_per_call, parts_per_call, members_per_call, frames_per_call } = this.#options.limits;
    // A service of version 0.1.0 bounds no members, and takes no frames.
    const unbounded = Number.POSITIVE_INFINITY;
    const most = {
      objects: objects_per_call,
      parts: parts_per_call,
      members: members_per_call ?? unbounded,
      frames: frames_per_call ?? unbounded,
    };
    return cut(objects, most, ({ parts, members, stored }) => ({
      objects: 1,
      parts: parts?.length ?? 1,
      members: members?.length ?? 0,
      frames: stored === null ? 0 : stored.frames.length / FRAME_ENTRY_SIZE,
    }));
  }

  async #plan(objects: readonly SentObject[]): Promise<PlannedUpload[]> {
    const { client, packageId } = this.#options;
    const plans = objects.map(({ digest, size, stored, parts, members }) => ({
      digest,
      size,
      ...(stored === null ? {} : storedAs(stored)),
      ...(parts === null ? {} : { parts }),
      ...(members === null ? {} : { members }),
    }));
    const { uploads } = await (packageId === null
      ? client.operations.planRepairs(plans)
      : client.planUploads(packageId, plans));
    const byDigest = new Map(uploads.map((upload) => [upload.digest, upload]));
    return objects.map((object) => {
      const { digest } = object;
      const upload = byDigest.get(digest);
      if (upload === undefined) throw notAStore(client.url, `it planned no upload for ${digest}`);
      for (const part of upload.parts) assertPart(client.url, part, sentSize(object));
      return upload;
    });
  }

  async #sendObject(object: SentObject, planned: PlannedUpload, handed: () => void): Promise<void> {
    let upload: PlannedUpload | undefined = planned;
    let told = false;
    const tell = (): void => {
      if (!told) handed();
      told = true;
    };
    for (let round = 1; ; round += 1) {
      upload ??= (await this.#plan([object]))[0] as PlannedUpload;
      const arrived: Arrived = { moved: 0, there: 0 };
      const count = (how: keyof Arrived, bytes: number): void => {
        const ofFiles = (bytes / sentSize(object)) * object.content;
        arrived[how] += ofFiles;
        this.arrived[how] += ofFiles;
      };
      try {
        await this.#sendUpload(object, upload, tell, count);
        return;
      } catch (error) {
        if (!(error instanceof PlanAgain)) throw this.#failed(error);
        for (const how of ['moved', 'there'] as const) this.arrived[how] -= arrived[how];
        if (round === PLAN_ROUNDS) throw this.#failed(gaveUp(object, PLAN_ROUNDS, error.message));
        upload = undefined;
      }
    }
  }

  /** @returns the failure that ended it all: what comes after it is its echo */
  #failed(error: unknown): unknown {
    this.#failure ??= { error };
    this.stop();
    return this.#failure.error;
  }

  async #sendUpload(
    object: SentObject,
    { upload_id, state, parts }: PlannedUpload,
    handed: () => void,
    count: (how: keyof Arrived, bytes: number) => void,
  ): Promise<void> {
    if (state === 'stored' || upload_id === null) {
      handed();
      count('there', sentSize(object));
      this.totals.files += object.files;
      return;
    }
    const missing = parts.filter(({ received }) => !received);
    for (const { received, size } of parts) if (received) count('there', size);
    if (missing.length > 0) await object.hold();
    await forEachLimit(missing, this.#options.parallel, (part) =>
      this.#partSlots.use(() => this.#sendPart(object, upload_id, part, (bytes) => count('moved', bytes))),
    );
    await object.assertUnchanged();
    object.release();
    handed();
    await this.#commits.use(() => this.#commit(object, upload_id));
    this.totals.objects += 1;
    this.totals.files += object.files;
    this.totals.bytes += missing.reduce((sum, { size }) => sum + size, 0);
  }

  async #sendPart(
    object: SentObject,
    uploadId: string,
    planned: PartRequest,
    count: (bytes: number) => void,
  ): Promise<void> {
    let part = planned;
    const { client } = this.#options;
    const { notes, connections } = client;
    const rule = {
      tries: PART_TRIES,
      signal: this.#signal,
      notes,
      whom: `The storage at ${new URL(part.url).origin}`,
      asked: () => ({ who: 'storage', known: connections.hasAnswered(part.url) }) as const,
    };
    const sending = withRetries(rule, async () => {
      let counted = 0;
      try {
        await sendPart(part, object, {
          pool: this.#pool,
          signal: this.#signal,
          sent: (bytes) => {
            counted += bytes;
            count(bytes);
          },
        });
      } catch (error) {
        count(-counted);
        part = await this.#afterFailure(object, uploadId, part, error);
        throw error;
      }
    });
    await sending.catch((error: unknown) => {
      throw isOfConnection(error) ? storageUnreachable(object, part, error, connections.proxyOf(part.url)) : error;
    });
  }

  /** @returns the part to try next; throws what must not be retried */
  async #afterFailure(object: SentObject, uploadId: string, part: PartRequest, error: unknown): Promise<PartRequest> {
    if (!(error instanceof ApiError)) return part;
    if (isOver(error)) throw new PlanAgain(error.detail);
    if (error.code === 'part_digest_mismatch') throw await object.differs(error.detail);
    // The URL expired, or the service's key changed: another one may do.
    if (error.status !== 403) return part;
    try {
      const { client } = this.#options;
      const { parts } = await client.partUrls(uploadId, [part.number]);
      const [fresh = part] = parts;
      assertPart(client.url, fresh, sentSize(object));
      return fresh;
    } catch (problem) {
      throw isOver(problem) ? new PlanAgain((problem as Error).message) : problem;
    }
  }

  async #commit(object: SentObject, uploadId: string): Promise<void> {
    const { client } = this.#options;
    try {
      const { state } = await client.commitUpload(uploadId);
      if (state === 'stored') return;
      this.verifying += 1;
      await this.#verified(object, uploadId).finally(() => {
        this.verifying -= 1;
      });
    } catch (error) {
      if (isApiError(error, 'digest_mismatch', 'size_mismatch', 'invalid_pack', 'invalid_frames')) {
        throw mismatch(object.label, object.named(error.extras.digest), error.detail);
      }
      if (isOver(error) || isApiError(error, 'upload_incomplete')) throw new PlanAgain((error as Error).message);
      throw error;
    }
  }

  /** Waits until the service has read the object's bytes once more. */
  async #verified(object: SentObject, uploadId: string): Promise<void> {
    for (const until = performance.now() + verifyingMost(object.size); ; ) {
      if (performance.now() > until) throw stillVerifying(object);
      await sleep(POLL_MS, undefined, { signal: this.#signal });
      const upload = await this.#options.client.getUpload(uploadId);
      if (upload.state === 'committed') return;
      if (upload.state === 'open' || upload.state === 'completing') continue;
      if (upload.failure && upload.failure.code !== 'upload_abandoned') {
        throw mismatch(object.label, object.named(), upload.failure.detail);
      }
      throw new PlanAgain(upload.failure?.detail ?? `the upload is ${upload.state}`);
    }
  }
}

/** This upload will take nothing more. */
function isOver(error: unknown): boolean {
  return isApiError(error, 'upload_closed', 'upload_not_found', 'upload_abandoned', 'part_not_found');
}
