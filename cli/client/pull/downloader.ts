import { createHash, hash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isApiError } from '../../errors.ts';
import type { ApiClient } from '../api/api-client.ts';
import type { Pool } from '../api/connections.ts';
import { retryDelay } from '../api/retry.ts';
import { chunks, forEachLimit } from '../concurrency.ts';
import type { PackageFile } from '../package-file.ts';
import { digestProblem, type Failure, failuresOf, problemOfSource } from './failures.ts';
import { cutPieces, type Piece, type Span, spansOf } from './pieces.ts';
import { PiecePlan } from './plan-pieces.ts';
import { FrameDamaged, readSource, type Source, SourceDamaged, SourceRefused } from './signed-get.ts';

const CONNECTIONS = 8;
/** So many files are planned in one call. */
export const FILES_PER_CALL = 1_000;
const PLANS_AT_ONCE = 4;
/** How often in a row fresh URLs are asked for without a byte read. */
const REFUSALS = 3;

/** What came of a piece that was read: its bytes, which have its digest, or why there are none. */
export type Arrival = { piece: Piece; bytes: Buffer } | { piece: Piece; problem: string };

/** Where bytes are, and of which files the store has none. */
export interface Planned {
  pieces: Piece[];
  lost: Failure[];
}

const LOST = 'is damaged or gone in the store, and there is no other copy.';

/** Reads a package's files over signed URLs, which it asks for, and asks for again when they expired. */
export class Downloader {
  readonly #client: ApiClient;
  readonly #packageId: string;
  readonly #connections: number;
  readonly #pool: Pool;
  readonly #stopped = new AbortController();
  /** Of everything that is read. */
  readonly signal: AbortSignal;
  readonly #moving = new WeakMap<Piece, Promise<void>>();

  constructor(client: ApiClient, packageId: string, connections = CONNECTIONS) {
    this.#client = client;
    this.#packageId = packageId;
    this.#connections = connections;
    this.#pool = client.connections.pool(connections);
    this.signal = AbortSignal.any([client.signal, this.#stopped.signal]);
  }

  close(): void {
    this.#pool.close();
  }

  /** As `planLists` does. */
  plan(files: readonly PackageFile[]): Promise<Planned> {
    return this.planLists(chunks(files, FILES_PER_CALL));
  }

  /**
   * Where the files' bytes are; each digest is one piece, each object one source, whatever the number of calls.
   * @param lists of at most FILES_PER_CALL files; the first ones are asked for while the others are still being made
   * @throws CliError integrity_failure when a file is offered with another digest or size
   */
  async planLists(lists: Iterable<PackageFile[]> | AsyncIterable<PackageFile[]>): Promise<Planned> {
    const plan = new PiecePlan();
    const lost: PackageFile[] = [];
    await forEachLimit(lists, PLANS_AT_ONCE, async (files) => {
      for (let asked = files; asked.length > 0; ) {
        try {
          const answer = await this.#client.planDownloads(this.#packageId, { paths: asked.map(({ path }) => path) });
          plan.want(asked);
          return plan.add(answer);
        } catch (error) {
          // Those that it names are left out of the next question.
          const named = new Set(lostPaths(error));
          const others = asked.filter(({ path }) => !named.has(path));
          if (others.length === asked.length) throw error;
          lost.push(...asked.filter(({ path }) => named.has(path)));
          asked = others;
        }
      }
    });
    return { pieces: plan.pieces(), lost: failuresOf(lost, LOST) };
  }

  /** Does the tasks, one for each connection at a time. The first failure ends everything that is being read. */
  async run(tasks: Iterable<() => Promise<void>>): Promise<void> {
    await forEachLimit(tasks, this.#connections, async (task) => {
      try {
        await task();
      } catch (error) {
        this.#stopped.abort();
        throw error;
      }
    });
  }

  /** Bytes of one piece from `offset` in it; not hashed. @throws SourceDamaged, ApiError, CliError unreachable */
  async *read(piece: Piece, offset: number, size: number): AsyncGenerator<Buffer> {
    let done = 0;
    for (let refusals = 0; done < size; ) {
      const { place } = piece;
      try {
        for await (const chunk of this.#read(place.source, place.offset + offset + done, size - done)) {
          done += chunk.length;
          refusals = 0;
          yield chunk;
        }
      } catch (error) {
        refusals = await this.#refused(error, refusals);
        // Several ranges of a piece may find out at once.
        if (piece.place === place) await this.#move(piece);
      }
    }
  }

  /** A whole piece, hashed on the way. @returns what is wrong with it, or null: known at its end only */
  async *readHashed(piece: Piece): AsyncGenerator<Buffer, string | null> {
    const hashed = createHash('sha256');
    const problem = yield* this.readPart(piece, 0, piece.size, (chunk) => hashed.update(chunk));
    return problem ?? digestProblem(piece.digest, hashed.digest('hex'));
  }

  /** As `read` does. @returns why storage cannot give these bytes, or null */
  async *readPart(
    piece: Piece,
    offset: number,
    size: number,
    see: (chunk: Buffer) => void = () => {},
  ): AsyncGenerator<Buffer, string | null> {
    try {
      for await (const chunk of this.read(piece, offset, size)) {
        see(chunk);
        yield chunk;
      }
    } catch (error) {
      if (error instanceof SourceDamaged) return problemOfSource(error);
      throw error;
    }
    return null;
  }

  /**
   * Every piece of the span once, in memory, hashed. What a damaged frame kept from coming is read again in halves, until only
   * pieces in that frame have not come.
   * @throws ApiError, CliError unreachable
   */
  async *readSpan(span: Span, refusals = 0): AsyncGenerator<Arrival> {
    const left = new Set(span.pieces);
    try {
      const bytes = this.#read(span.source, span.offset, span.size);
      for await (const cut of cutPieces(bytes, span)) {
        left.delete(cut.piece);
        refusals = 0;
        const problem = digestProblem(cut.piece.digest, hash('sha256', cut.bytes, 'hex'));
        yield problem === null ? cut : { piece: cut.piece, problem };
      }
    } catch (error) {
      const end = endOf(error, refusals);
      if (end instanceof FrameDamaged && left.size > 1) {
        const pieces = [...left];
        const half = pieces.length >> 1;
        for (const some of [pieces.slice(0, half), pieces.slice(half)])
          for (const part of spansOf(some)) yield* this.readSpan(part);
        return;
      }
      if (end instanceof SourceDamaged) {
        for (const piece of left) yield { piece, problem: problemOfSource(end) };
        return;
      }
      const next = await this.#refused(error, refusals);
      // The bytes may have moved to another object since.
      const moved = await this.plan([...left].flatMap(({ files }) => files));
      const lost = new Set(moved.lost.map(({ path }) => path));
      for (const piece of left) if (piece.files.some(({ path }) => lost.has(path))) yield { piece, problem: LOST };
      for (const fresh of spansOf(moved.pieces)) yield* this.readSpan(fresh, next);
    }
  }

  #read(source: Source, offset: number, size: number): AsyncGenerator<Buffer> {
    return readSource(source, offset, size, { pool: this.#pool, notes: this.#client.notes, signal: this.signal });
  }

  /** @returns how many refusals there were in a row; throws what fresh URLs do not mend */
  async #refused(error: unknown, refusals: number): Promise<number> {
    const end = endOf(error, refusals);
    if (end !== null) throw end;
    if (refusals > 0) await sleep(retryDelay(refusals, Math.random()), undefined, { signal: this.signal });
    return refusals + 1;
  }

  /** Once for all who ask meanwhile. */
  #move(piece: Piece): Promise<void> {
    const moving = this.#moving.get(piece) ?? this.#planAgain(piece).finally(() => this.#moving.delete(piece));
    this.#moving.set(piece, moving);
    return moving;
  }

  async #planAgain(piece: Piece): Promise<void> {
    const { pieces, lost } = await this.plan(piece.files.slice(0, 1));
    if (lost.length > 0)
      throw new SourceDamaged('its bytes are damaged or gone in the store, and there is no other copy');
    const [fresh] = pieces;
    if (fresh) piece.place = fresh.place;
  }
}

/** Which files the service says have no good bytes; an older one names one at a time. */
function lostPaths(error: unknown): readonly string[] {
  if (!isApiError(error, 'integrity_failure')) return [];
  const { path, paths } = error.extras;
  const named: unknown[] = Array.isArray(paths) ? paths : [path];
  return named.filter((one) => typeof one === 'string');
}

/** What ends the reading; null when fresh URLs may mend it. */
function endOf(error: unknown, refusals: number): unknown {
  if (!(error instanceof SourceRefused)) return error;
  if (refusals < REFUSALS) return null;
  // The registry names it, and it is not there: no question of a wrong address.
  return error.problem.status === 403 ? error.problem : new SourceDamaged('its object is gone from storage');
}
