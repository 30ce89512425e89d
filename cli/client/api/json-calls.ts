import { once } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { setImmediate as afterIo } from 'node:timers/promises';
import { checkServerIdentity } from 'node:tls';
import type { Got, Method, Response } from 'got';
import { type AnswerName, type AnswerOf, checkerOf } from './answers/index.ts';
import { BodyTooLong, bodyStart, paced, wholeBody } from './bounded-body.ts';
import type { Connections, Pool } from './connections.ts';
import { isOfConnection } from './failure-rules.ts';
import { noConnection, otherProtocol } from './no-connection.ts';
import { notAStore } from './not-a-store.ts';
import { speaksTheOther } from './port-speaks.ts';
import { problemOf } from './problem.ts';
import { readJson } from './read-json.ts';
import { type RetryNotes, withRetries } from './retry.ts';

/** The default size of a page. */
export const DEFAULT_PAGE = 100;

export interface JsonCallsOptions {
  url: string;
  /** The bearer token that is good now; null: none is sent. */
  bearer: () => Promise<string | null>;
  signal: AbortSignal;
  userAgent: string;
  connections: Connections;
  notes: RetryNotes;
}

/** Which page of a list. */
export interface PageQuery {
  limit?: number;
  cursor?: string;
}

export type Query = Record<string, string | number | undefined>;

export interface Call {
  method: Method;
  path: string;
  query?: Query;
  body?: unknown;
  /** More headers, as they are to be when the request is sent, or sent again. */
  headers?: () => Record<string, string>;
  /** Doing it twice is not the same as once: never sent again when it may have arrived. */
  once?: boolean;
  /** Error statuses that are an answer all the same. */
  answers?: readonly number[];
}

export interface JsonCall<Name extends AnswerName> extends Call {
  answer: Name;
  /** How many items a list may have. */
  items?: number;
}

/** An answer whose body is on its way. */
export interface Answering {
  status: number;
  headers: IncomingHttpHeaders;
  body: AsyncIterable<Buffer>;
}

/** What calls have in common, whatever ends them. */
interface Shared {
  readonly pool: Pool;
  got: Promise<Got> | null;
}

const JSON_SOCKETS = 16;
const TRIES = 8;
/** A commit answers within seconds; finalizing a hundred thousand files may take longer. */
const TIMEOUT = { lookup: 10_000, connect: 10_000, secureConnect: 10_000, response: 300_000 };
const NO_SERVICE =
  'Start one with `artifact-store serve`, name another with --url or ARTIFACT_STORE_URL, or use --local.';

/**
 * Calls of the control plane. They are repeated, with growing pauses, after what may pass (failure-rules.ts), unless that
 * would do something twice. Of an answer no more is read than it may have, and nothing is used of it before it was checked.
 */
export class JsonCalls {
  readonly #options: JsonCallsOptions;
  readonly #shared: Shared;

  constructor(options: JsonCallsOptions, shared: Shared = { pool: options.connections.pool(JSON_SOCKETS), got: null }) {
    this.#options = options;
    this.#shared = shared;
  }

  /** The same connections, for calls that another signal ends. */
  endedBy(signal: AbortSignal): JsonCalls {
    return new JsonCalls({ ...this.#options, signal }, this.#shared);
  }

  close(): void {
    this.#shared.pool.close();
  }

  /** The checked answer. @throws ApiError for an error status, CliError unreachable */
  async json<Name extends AnswerName>(call: JsonCall<Name>): Promise<AnswerOf<Name>> {
    return (await this.answer(call)).value;
  }

  get<Name extends AnswerName>(answer: Name, path: string, query: Query = {}): Promise<AnswerOf<Name>> {
    return this.json({ method: 'GET', path, query, answer });
  }

  /** A page of a list. */
  list<Name extends AnswerName>(answer: Name, path: string, query: Query): Promise<AnswerOf<Name>> {
    return this.json({ method: 'GET', path, query, answer, items: Number(query.limit ?? DEFAULT_PAGE) });
  }

  post<Name extends AnswerName>(
    answer: Name,
    path: string,
    body: unknown,
    more: { items?: number; once?: boolean; query?: Query } = {},
  ): Promise<AnswerOf<Name>> {
    return this.json({ method: 'POST', path, body, answer, ...more });
  }

  /** @param reason for the audit */
  remove<Name extends AnswerName>(
    answer: Name,
    path: string,
    reason: string | undefined,
    more: { once?: boolean } = {},
  ): Promise<AnswerOf<Name>> {
    return this.json({ method: 'DELETE', path, body: reason === undefined ? undefined : { reason }, answer, ...more });
  }

  /** The checked answer, and its status. @throws ApiError for an error status, CliError unreachable */
  async answer<Name extends AnswerName>(call: JsonCall<Name>): Promise<{ value: AnswerOf<Name>; status: number }> {
    // Loaded while the request is on its way.
    const loading = afterIo().then(() => checkerOf(call.answer, call.items ?? 1));
    return this.ask(call, async ({ status, body }) => {
      const { max, check } = await loading;
      const parsed = readJson(await wholeBody(body, max));
      const verdict = 'problem' in parsed ? parsed : check(parsed.value);
      if ('problem' in verdict) throw new NotAStore(verdict.problem);
      return { value: verdict.value, status };
    });
  }

  /**
   * Sends the request and passes the answer to `read`. A body that is cut off is requested again, and read from its
   * beginning.
   * @throws ApiError for an error status, CliError unreachable, what `read` throws
   */
  async ask<T>(call: Call, read: (answering: Answering) => Promise<T>): Promise<T> {
    const { url, signal, connections, notes } = this.#options;
    const rule = {
      tries: TRIES,
      signal,
      once: call.once,
      notes,
      whom: `The service at ${url}`,
      asked: () => ({ who: 'service', known: connections.hasAnswered(url) }) as const,
    };
    try {
      return await withRetries(rule, async () => {
        const answering = await this.#request(call).catch((error: unknown) => this.#refine(error));
        return read(answering);
      });
    } catch (error) {
      signal.throwIfAborted();
      throw this.#describe(error, call);
    }
  }

  async #request(call: Call): Promise<Answering> {
    const { method, path, query, body, answers, headers: more } = call;
    const { url: base, connections, signal, bearer } = this.#options;
    const url = new URL(base + path);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    this.#shared.got ??= this.#open();
    const got = await this.#shared.got;
    const agents = this.#shared.pool.agentsFor(base);
    const agent = url.protocol === 'https:' ? { https: agents.https } : { http: agents.http };
    const text = body === undefined ? undefined : JSON.stringify(body);
    const token = await bearer();
    const headers = {
      ...(text === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...more?.(),
    };
    const stream = got.stream(url, { method, headers, body: text, signal, agent });
    // Until somebody reads it, and after nobody does any more.
    stream.on('error', () => {});
    if (text === undefined && method !== 'GET') stream.end();
    const [response] = (await once(stream, 'response')) as [Response];
    connections.heard(base);
    const { statusCode: status } = response;
    const answering = paced(stream as Readable);
    // As JSON the service says it itself; without that it is of something before it.
    const isAnswer = answers?.includes(status) && /^application\/json\b/.test(response.headers['content-type'] ?? '');
    if (status < 300 || isAnswer) return { status, headers: response.headers, body: answering };
    const refusal = { status, body: await bodyStart(answering), what: `${method} ${path}`, url: base } as const;
    const to = response.headers.location;
    if (status === 400 && SAYS_HTTPS.test(refusal.body) && base.startsWith('http:')) throw otherProtocol(base);
    if (status < 400) throw new NotAStore(`it answered ${method} ${path} with ${status}, to ${to ?? 'nowhere'}`);
    const retryAfter = response.headers['retry-after'];
    throw problemOf({ ...refusal, who: 'service', sent: Buffer.byteLength(text ?? ''), retryAfter });
  }

  /** Of a first contact that fails as one by the wrong protocol does, whether it is that: nothing is retried then. */
  async #refine(error: unknown): Promise<never> {
    const { url, connections } = this.#options;
    const { code } = error as { code?: unknown };
    const isFirst = isOfConnection(error) && !connections.hasAnswered(url) && connections.proxyOf(url) === null;
    if (isFirst && MAY_BE_OTHER_PROTOCOL.test(String(code)) && (await speaksTheOther(url))) throw otherProtocol(url);
    throw error;
  }

  #describe(error: unknown, { method, path }: Call): unknown {
    const { url, connections } = this.#options;
    const what = `${method} ${path}`;
    if (error instanceof NotAStore) return notAStore(url, `${error.message} (${what})`);
    if (error instanceof BodyTooLong) return notAStore(url, `its answer is ${error.message} (${what})`);
    if (!isOfConnection(error)) return error;
    return noConnection({ who: 'service', url, proxy: connections.proxyOf(url), next: NO_SERVICE }, error);
  }

  /** Loaded when first used: `--help` must not wait for it. */
  async #open(): Promise<Got> {
    const { userAgent } = this.#options;
    const { default: got } = await import('got');
    return got.extend({
      headers: {
        accept: 'application/json, application/problem+json',
        'user-agent': userAgent,
      },
      // The token goes to the service that was named, and nowhere else.
      followRedirect: false,
      throwHttpErrors: false,
      decompress: false,
      retry: { limit: 0 },
      timeout: TIMEOUT,
      // As got does by itself, but TLS is loaded when there is an identity to check.
      https: { checkServerIdentity: (host, certificate) => checkServerIdentity(host, certificate) },
    });
  }
}

/** The server is something else, or lies. */
export class NotAStore extends Error {}

/** As nginx and Apache answer on a port for https. */
const SAYS_HTTPS = /sent to HTTPS port|speaking plain HTTP to an SSL-enabled/;
const MAY_BE_OTHER_PROTOCOL = /^(ECONNRESET|EPROTO|EPIPE|ERR_SSL_.*|HPE_.*)$/;

/** The address of a package. */
export function packagePath(id: string): string {
  return `/v1/packages/${encodeURIComponent(id)}`;
}
