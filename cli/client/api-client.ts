import type { Got, Method, Response } from 'got';
import type * as wire from '../../src/api/types.ts';
import type { Limits } from '../../src/core/limits.ts';
import { ApiError, CliError, EXIT, usageError } from '../errors.ts';
import { type Agents, closeAgents, mayPass, newAgents, problemOf, unreachable } from './http.ts';
import { connectionFailure, withRetries } from './retry.ts';

export interface ClientOptions {
  url: string;
  token: string | null;
  signal: AbortSignal;
  userAgent: string;
}

export type Query = Record<string, string | number | undefined>;

export interface PageQuery {
  limit?: number;
  cursor?: string;
}

interface Call {
  method: Method;
  path: string;
  query?: Query;
  body?: unknown;
  /** Doing it twice is not the same as once: never sent again when it may have arrived. */
  once?: boolean;
  /** Error statuses that are an answer all the same. */
  answers?: readonly number[];
}

const JSON_SOCKETS = 16;
const TRIES = 8;
/** A commit answers within seconds; finalizing a hundred thousand files may take longer. */
const TIMEOUT = { lookup: 10_000, connect: 10_000, secureConnect: 10_000, response: 300_000 };

/** The files of the address bar: each segment escaped, slashes kept. */
function escapePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** @throws CliError wrong_usage */
export function parseServiceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw usageError(`${JSON.stringify(text)} is not the URL of a service.`, 'Write one like http://127.0.0.1:8420.');
  }
  return url.href.replace(/\/+$/, '');
}

/**
 * The control plane's HTTP interface, typed; JSON only: bytes go over the signed URLs (part-sender.ts, downloader.ts).
 * Calls are repeated, with growing pauses, on lost connections, 429 and 503, unless repeating would do something twice.
 * Once the service has answered, it is worth waiting for: a restart in the middle of a push ends nothing.
 */
export class ApiClient {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly #token: string | null;
  readonly #userAgent: string;
  readonly #agents: Agents;
  #got: Promise<Got> | null = null;
  #limits: Promise<Limits> | null = null;
  #hasAnswered = false;

  constructor({ url, token, signal, userAgent }: ClientOptions) {
    this.url = parseServiceUrl(url);
    this.signal = signal;
    this.#token = token;
    this.#userAgent = userAgent;
    this.#agents = newAgents(JSON_SOCKETS);
  }

  close(): void {
    closeAgents(this.#agents);
  }

  // ── Packages ──

  /** Never repeated without an external id: each repetition would make another package. */
  async createPackage(body: wire.CreatePackage): Promise<{ pkg: wire.Package; created: boolean }> {
    const once = body.external_id === undefined;
    const response = await this.#send({ method: 'POST', path: '/v1/packages', body, once });
    return { pkg: parse(response), created: response.statusCode === 201 };
  }

  listPackages(query: Query): Promise<wire.PackageList> {
    return this.#json({ method: 'GET', path: '/v1/packages', query });
  }

  getPackage(id: string): Promise<wire.Package> {
    return this.#json({ method: 'GET', path: `/v1/packages/${encodeURIComponent(id)}` });
  }

  registerFiles(id: string, files: wire.RegisterFiles['files']): Promise<wire.RegisteredFiles> {
    return this.#json({ method: 'POST', path: `/v1/packages/${encodeURIComponent(id)}/files`, body: { files } });
  }

  /** Removing what is not there is no error. */
  async removeFile(id: string, path: string): Promise<void> {
    try {
      await this.#send({ method: 'DELETE', path: `/v1/packages/${encodeURIComponent(id)}/files/${escapePath(path)}` });
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'file_not_found')) throw error;
    }
  }

  listFiles(id: string, page: PageQuery = {}): Promise<wire.FileList> {
    return this.#json({ method: 'GET', path: `/v1/packages/${encodeURIComponent(id)}/files`, query: { ...page } });
  }

  /** Every file, page by page. */
  async *files(id: string): AsyncGenerator<wire.File> {
    let cursor: string | undefined;
    do {
      const page = await this.listFiles(id, { limit: 1_000, cursor });
      yield* page.items;
      cursor = page.next_cursor ?? undefined;
    } while (cursor !== undefined);
  }

  finalizePackage(
    id: string,
    expected: { file_count?: number; total_size?: number; files_digest?: string } = {},
  ): Promise<wire.Package> {
    return this.#json({ method: 'POST', path: `/v1/packages/${encodeURIComponent(id)}/finalize`, body: expected });
  }

  failPackage(id: string, reason: string): Promise<wire.Package> {
    const path = `/v1/packages/${encodeURIComponent(id)}/fail`;
    return this.#json({ method: 'POST', path, body: { reason }, once: true });
  }

  deletePackage(id: string, reason: string): Promise<wire.Package> {
    const path = `/v1/packages/${encodeURIComponent(id)}`;
    return this.#json({ method: 'DELETE', path, body: { reason }, once: true });
  }

  link(id: string, query: { author?: string; workstream_id?: string; task_id?: string } = {}): Promise<wire.Link> {
    return this.#json({ method: 'GET', path: `/v1/packages/${encodeURIComponent(id)}/link`, query });
  }

  /** The manifest's exact bytes. */
  async manifest(id: string, format: 'json' | 'sha256sum' = 'json'): Promise<Buffer> {
    const path = `/v1/packages/${encodeURIComponent(id)}/manifest`;
    return Buffer.from((await this.#send({ method: 'GET', path, query: { format } })).rawBody);
  }

  // ── Uploads and downloads ──

  planUploads(id: string, objects: wire.PlanUploads['objects']): Promise<wire.PlannedUploads> {
    return this.#json({ method: 'POST', path: `/v1/packages/${encodeURIComponent(id)}/uploads`, body: { objects } });
  }

  getUpload(uploadId: string): Promise<wire.Upload> {
    return this.#json({ method: 'GET', path: `/v1/uploads/${uploadId}` });
  }

  partUrls(uploadId: string, parts: number[]): Promise<wire.PartUrlList> {
    return this.#json({ method: 'POST', path: `/v1/uploads/${uploadId}/urls`, body: { parts } });
  }

  commitUpload(uploadId: string): Promise<wire.CommittedUpload> {
    return this.#json({ method: 'POST', path: `/v1/uploads/${uploadId}/commit`, body: {} });
  }

  planDownloads(id: string, { paths, ...query }: PageQuery & { paths?: string[] } = {}): Promise<wire.DownloadList> {
    const path = `/v1/packages/${encodeURIComponent(id)}/downloads`;
    return this.#json({ method: 'POST', path, query: { ...query }, body: paths === undefined ? {} : { paths } });
  }

  // ── Retention and audit ──

  retentionClasses(): Promise<wire.RetentionClassList> {
    return this.#json({ method: 'GET', path: '/v1/retention/classes' });
  }

  eligible(page: PageQuery = {}): Promise<wire.EligibleList> {
    return this.#json({ method: 'GET', path: '/v1/retention/eligible', query: { ...page } });
  }

  retention(id: string): Promise<wire.Retention> {
    return this.#json({ method: 'GET', path: `/v1/packages/${encodeURIComponent(id)}/retention` });
  }

  extendRetention(id: string, body: { expires_at?: string; days?: number; reason: string }): Promise<wire.Retention> {
    const path = `/v1/packages/${encodeURIComponent(id)}/retention/extensions`;
    return this.#json({ method: 'POST', path, body, once: true });
  }

  placeHold(id: string, body: { reason: string; reference?: string }): Promise<wire.Hold> {
    const path = `/v1/packages/${encodeURIComponent(id)}/holds`;
    return this.#json({ method: 'POST', path, body, once: true });
  }

  releaseHold(id: string, holdId: string, reason: string): Promise<wire.Hold> {
    const path = `/v1/packages/${encodeURIComponent(id)}/holds/${encodeURIComponent(holdId)}/release`;
    return this.#json({ method: 'POST', path, body: { reason }, once: true });
  }

  audit(query: Query): Promise<wire.AuditList> {
    return this.#json({ method: 'GET', path: '/v1/audit', query });
  }

  // ── Operations ──

  /** Asked for once: limits do not change while a verb runs. */
  limits(): Promise<Limits> {
    this.#limits ??= this.#json<Limits>({ method: 'GET', path: '/v1/limits' });
    return this.#limits;
  }

  /** Also when the service says that it is not ready. */
  async readiness(): Promise<wire.Readiness> {
    const body = await this.#json<Partial<wire.Readiness>>({ method: 'GET', path: '/readyz', answers: [503] });
    if (body.registry && body.blob_store) return body as wire.Readiness;
    throw notAStore(`${this.url}/readyz`);
  }

  diagnosis(): Promise<wire.Diagnosis> {
    return this.#json({ method: 'GET', path: '/v1/diagnosis' });
  }

  async #json<T>(call: Call): Promise<T> {
    return parse(await this.#send(call));
  }

  /** @throws ApiError for an error status, CliError unreachable */
  async #send(call: Call): Promise<Response<string>> {
    const what = `${call.method} ${call.path}`;
    const rule = { tries: TRIES, signal: this.signal, again: (error: unknown) => this.#mayRepeat(call, error) };
    try {
      return await withRetries(rule, async () => {
        const response = await this.#request(call);
        const { statusCode, body } = response;
        if (statusCode >= 400 && !call.answers?.includes(statusCode)) throw problemOf(statusCode, body, what);
        return response;
      });
    } catch (error) {
      this.signal.throwIfAborted();
      if (error instanceof ApiError) throw error;
      throw this.#describe(error, what);
    }
  }

  #mayRepeat(call: Call, error: unknown): boolean {
    if (error instanceof ApiError) return !call.once && mayPass(error.status);
    const failure = connectionFailure(error);
    if (failure === null) return false;
    return failure.sent ? !call.once : this.#hasAnswered;
  }

  #describe(error: unknown, what: string): unknown {
    if (connectionFailure(error)) return unreachable(this.url, error);
    const { name, message } = error as Error;
    if (name !== 'RequestError' && name !== 'TimeoutError' && name !== 'ReadError') return error;
    return new CliError(`${what} failed: ${message}.`, { exit: EXIT.unreachable, code: 'unreachable', cause: error });
  }

  async #request({ method, path, query, body }: Call): Promise<Response<string>> {
    this.#got ??= this.#open();
    const got = await this.#got;
    const url = new URL(this.url + path);
    for (const [name, value] of Object.entries(query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const response = await got(url, {
      method,
      ...(body === undefined ? {} : { json: body }),
      signal: this.signal,
    });
    this.#hasAnswered = true;
    return response as Response<string>;
  }

  /** Loaded when first used: `--help` must not wait for it. */
  async #open(): Promise<Got> {
    const { default: got } = await import('got');
    return got.extend({
      agent: { http: this.#agents.http, https: this.#agents.https },
      headers: {
        accept: 'application/json, application/problem+json',
        'user-agent': this.#userAgent,
        ...(this.#token === null ? {} : { authorization: `Bearer ${this.#token}` }),
      },
      // The token goes to the service that was named, and nowhere else.
      followRedirect: false,
      allowGetBody: true,
      throwHttpErrors: false,
      decompress: false,
      retry: { limit: 0 },
      timeout: TIMEOUT,
    });
  }
}

function parse<T>(response: Response<string>): T {
  try {
    return JSON.parse(response.body) as T;
  } catch {
    throw notAStore(response.url);
  }
}

function notAStore(url: string): CliError {
  const options = { exit: EXIT.unreachable, code: 'unreachable', extras: { url } } as const;
  return new CliError(`${url} did not answer as an artifact-store does: is it one?`, options);
}
