import type * as wire from '../../../src/api/types.ts';
import type { Limits } from '../../../src/core/limits.ts';
import type { ProxyEnv } from '../../../src/core/proxy.ts';
import type { SecretRecord } from '../../../src/core/secret-record.ts';
import { ENVELOPE_MAX_BYTES } from '../../../src/core/statement.ts';
import { ApiError, isApiError, usageError } from '../../errors.ts';
import { type AccessCalls, accessCalls } from './access-calls.ts';
import { bodyStart, upTo, wholeBody } from './bounded-body.ts';
import { Connections } from './connections.ts';
import { type GithubIdentity, githubTokens } from './github-identity.ts';
import {
  type Answering,
  type Call,
  DEFAULT_PAGE,
  JsonCalls,
  type PageQuery,
  packagePath,
  type Query,
} from './json-calls.ts';
import { type LogCalls, logCalls } from './log-calls.ts';
import { type ReadManifest, readManifest } from './manifest-reader.ts';
import { type OperationCalls, operationCalls } from './operation-calls.ts';
import { pagesOf } from './pages.ts';
import { RetryNotes } from './retry.ts';
import { type WebhookCalls, webhookCalls } from './webhook-calls.ts';

export interface ClientOptions {
  url: string;
  token: string | null;
  /** Where tokens are had in the place of `token`. */
  identity?: GithubIdentity | undefined;
  signal: AbortSignal;
  userAgent: string;
  /** What names proxies. */
  env?: ProxyEnv;
  /** Told when something is retried. */
  tell?: (text: string) => void;
}

/** What a client is made of. */
interface ClientParts {
  url: string;
  signal: AbortSignal;
  connections: Connections;
  notes: RetryNotes;
  calls: JsonCalls;
}

function partsOf({ url: named, token, identity, signal, userAgent, env, tell = () => {} }: ClientOptions): ClientParts {
  const url = parseServiceUrl(named);
  const connections = new Connections({ env });
  const notes = new RetryNotes(tell);
  const bearer =
    identity === undefined ? async () => token : githubTokens(identity, url, { connections, notes, signal });
  const calls = new JsonCalls({ url, bearer, signal, userAgent, connections, notes });
  return { url, signal, connections, notes, calls };
}

/** A manifest lists a package's files: so many bytes for each, its path and its escapes included; metadata comes beside them. */
const MANIFEST_ENTRY_MAX = 8 * 1024;
const MANIFEST_REST_MAX = 4 * 1024 ** 2;
/** Some five million files. */
const MANIFEST_MAX = 1024 ** 3;
const FILES_PAGE = 1_000;

/** Of a package, what a manifest is checked against. */
type ManifestOwner = Pick<wire.Package, 'id' | 'file_count'>;

/** The files of the address bar: each segment escaped, slashes kept. */
function escapePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** @throws CliError wrong_usage */
export function parseServiceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && (url.username !== '' || url.password !== '')) {
    throw usageError(
      'The URL of the service contains a user or a password, which the service does not accept.',
      'Leave them out, and set ARTIFACT_STORE_TOKEN to a token of the service.',
    );
  }
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw usageError(`${JSON.stringify(text)} is not the URL of a service.`, 'Write one like http://127.0.0.1:8420.');
  }
  return url.href.replace(/\/+$/, '');
}

/**
 * The control plane's HTTP interface, typed; JSON only: bytes go over the signed URLs (part-sender.ts, downloader.ts).
 * What it answers was checked. Once the service has answered, it is worth waiting for: a restart in the middle of a push
 * ends nothing.
 */
export class ApiClient {
  readonly url: string;
  readonly signal: AbortSignal;
  readonly connections: Connections;
  readonly notes: RetryNotes;
  /** Tokens, and links for others. */
  readonly access: AccessCalls;
  readonly webhooks: WebhookCalls;
  readonly log: LogCalls;
  readonly operations: OperationCalls;
  readonly #calls: JsonCalls;
  #limits: Promise<Limits> | null = null;

  constructor(options: ClientOptions | ClientParts) {
    const { url, signal, connections, notes, calls } = 'calls' in options ? options : partsOf(options);
    this.url = url;
    this.signal = signal;
    this.connections = connections;
    this.notes = notes;
    this.access = accessCalls(calls);
    this.webhooks = webhookCalls(calls);
    this.log = logCalls(calls);
    this.operations = operationCalls(calls);
    this.#calls = calls;
  }

  /** The same service, by the same connections and tokens, for work that another signal ends; closed with this one. */
  endedBy(signal: AbortSignal): ApiClient {
    const { url, connections, notes } = this;
    return new ApiClient({ url, signal, connections, notes, calls: this.#calls.endedBy(signal) });
  }

  close(): void {
    this.#calls.close();
  }

  // ── Packages ──

  /** Never repeated without an external id: each repetition would make another package. */
  async createPackage(body: wire.CreatePackage): Promise<{ pkg: wire.Package; created: boolean }> {
    const once = body.external_id === undefined;
    const call = { method: 'POST', path: '/v1/packages', body, once, answer: 'package' } as const;
    const { value, status } = await this.#calls.answer(call);
    return { pkg: value, created: status === 201 };
  }

  listPackages(query: Query): Promise<wire.PackageList> {
    return this.#calls.list('packages', '/v1/packages', query);
  }

  getPackage(id: string): Promise<wire.Package> {
    return this.#calls.get('package', packagePath(id));
  }

  registerFiles(id: string, files: wire.RegisterFiles['files']): Promise<wire.RegisteredFiles> {
    const items = files.length;
    return this.#calls.post('registered', `${packagePath(id)}/files`, { files }, { items });
  }

  /** Removing something that does not exist is not an error. */
  async removeFile(id: string, path: string): Promise<void> {
    try {
      const call = { method: 'DELETE', path: `${packagePath(id)}/files/${escapePath(path)}` } as const;
      await this.#calls.ask(call, ({ body }) => bodyStart(body));
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'file_not_found')) throw error;
    }
  }

  listFiles(id: string, page: PageQuery = {}): Promise<wire.FileList> {
    return this.#calls.list('files', `${packagePath(id)}/files`, { ...page });
  }

  /** Every file, page by page. */
  async *files(id: string): AsyncGenerator<wire.File> {
    const read = (cursor: string | undefined) => this.listFiles(id, { limit: FILES_PAGE, cursor });
    for await (const { items } of pagesOf(this.url, read)) yield* items;
  }

  /** Paths of files that were removed from a finalized package. */
  async deletedPaths(id: string): Promise<Set<string>> {
    const read = (cursor: string | undefined) =>
      this.#calls.list('files', `${packagePath(id)}/files`, { deleted: 'true', limit: FILES_PAGE, cursor });
    const paths = new Set<string>();
    for await (const { items } of pagesOf(this.url, read)) for (const { path } of items) paths.add(path);
    return paths;
  }

  /** The first files whose bytes the store does not have, or has no more; of an older service, which cannot tell, none. */
  async missingPaths(id: string, limit: number): Promise<string[]> {
    const answer = this.#calls.list('files', `${packagePath(id)}/files`, { missing: 'true', limit, cursor: undefined });
    const { items } = await answer.catch((error: unknown) => {
      if (isApiError(error, 'invalid_request')) return { items: [] };
      throw error;
    });
    return items.flatMap(({ path, state }) => (state === 'missing' ? [path] : []));
  }

  /** All of these, or none. @param check only whether they may be removed */
  deleteFiles(id: string, body: { paths: string[]; reason: string; check?: boolean }): Promise<wire.FileDeletion> {
    return this.#calls.post('fileDeletion', `${packagePath(id)}/file-deletions`, body);
  }

  finalizePackage(
    id: string,
    expected: { file_count?: number; total_size?: number; files_digest?: string; secrets?: SecretRecord } = {},
  ): Promise<wire.Package> {
    return this.#calls.post('package', `${packagePath(id)}/finalize`, expected);
  }

  failPackage(id: string, reason: string): Promise<wire.Package> {
    return this.#calls.post('package', `${packagePath(id)}/fail`, { reason }, { once: true });
  }

  deletePackage(id: string, reason: string): Promise<wire.Package> {
    const call = { method: 'DELETE', path: packagePath(id), body: { reason }, once: true, answer: 'package' } as const;
    return this.#calls.json(call);
  }

  link(id: string, query: { author?: string; workstream_id?: string; task_id?: string } = {}): Promise<wire.Link> {
    return this.#calls.get('link', `${packagePath(id)}/link`, query);
  }

  /** The manifest's exact bytes, or the list that `sha256sum` reads. */
  manifest(pkg: ManifestOwner, format: 'json' | 'sha256sum' = 'json'): Promise<Buffer> {
    return this.#manifest(pkg, format, (body) => wholeBody(body, manifestMax(pkg)));
  }

  /** The manifest's exact bytes as they come. @param read begins anew when the service has to be asked again */
  readManifest<T>(pkg: ManifestOwner, read: (body: AsyncIterable<Buffer>) => Promise<T>): Promise<T> {
    return this.#manifest(pkg, 'json', (body) => read(upTo(body, manifestMax(pkg))));
  }

  /** The files that the manifest lists, read as it comes, and whether it is one. */
  manifestFiles(pkg: ManifestOwner): Promise<ReadManifest> {
    return this.#manifest(pkg, 'json', (body) => readManifest(upTo(body, manifestMax(pkg)), pkg));
  }

  /** An archive, or the range of it that the headers ask for. @param query format, path, names */
  archive<T>(
    id: string,
    call: Pick<Call, 'method' | 'query' | 'headers' | 'once'>,
    read: (answering: Answering) => Promise<T>,
  ): Promise<T> {
    return this.#calls.ask({ ...call, path: `${packagePath(id)}/archive` }, read);
  }

  /** By one of the two. */
  findFiles(query: PageQuery & { digest?: string; name?: string }): Promise<wire.FoundFileList> {
    return this.#calls.list('foundFiles', '/v1/files', { ...query });
  }

  // ── Proof ──

  /** What the service signed of a package: a DSSE envelope, as it stands in storage. */
  attestation(id: string): Promise<Buffer> {
    const call = { method: 'GET', path: `${packagePath(id)}/attestation` } as const;
    return this.#calls.ask(call, ({ body }) => wholeBody(body, ENVELOPE_MAX_BYTES));
  }

  signingKeys(): Promise<wire.SigningKeyList> {
    return this.#calls.get('signingKeys', '/v1/keys');
  }

  rotateKey(): Promise<wire.SigningKey> {
    return this.#calls.post('signingKey', '/v1/keys', undefined, { once: true });
  }

  // ── Uploads and downloads ──

  planUploads(id: string, objects: wire.PlanUploads['objects']): Promise<wire.PlannedUploads> {
    const items = objects.reduce((sum, { parts }) => sum + 1 + (parts?.length ?? 1), 0);
    return this.#calls.post('planned', `${packagePath(id)}/uploads`, { objects }, { items });
  }

  getUpload(uploadId: string): Promise<Omit<wire.Upload, 'encoding' | 'stored_size'>> {
    return this.#calls.get('upload', `/v1/uploads/${encodeURIComponent(uploadId)}`);
  }

  partUrls(uploadId: string, parts: number[]): Promise<wire.PartUrlList> {
    return this.#calls.post(
      'partUrls',
      `/v1/uploads/${encodeURIComponent(uploadId)}/urls`,
      { parts },
      { items: parts.length },
    );
  }

  commitUpload(uploadId: string): Promise<wire.CommittedUpload> {
    return this.#calls.post('committed', `/v1/uploads/${encodeURIComponent(uploadId)}/commit`, {});
  }

  planDownloads(id: string, { paths, ...query }: PageQuery & { paths?: string[] } = {}): Promise<wire.DownloadList> {
    const items = paths?.length ?? query.limit ?? DEFAULT_PAGE;
    const body = { encodings: ['zstd-seekable'], ...(paths === undefined ? {} : { paths }) };
    return this.#calls.post('downloads', `${packagePath(id)}/downloads`, body, { items, query: { ...query } });
  }

  // ── Retention and audit ──

  retentionClasses(): Promise<wire.RetentionClassList> {
    return this.#calls.get('classes', '/v1/retention/classes');
  }

  eligible(page: PageQuery = {}): Promise<wire.EligibleList> {
    return this.#calls.list('eligible', '/v1/retention/eligible', { ...page });
  }

  retention(id: string): Promise<wire.Retention> {
    return this.#calls.get('retention', `${packagePath(id)}/retention`);
  }

  extendRetention(id: string, body: { expires_at?: string; days?: number; reason: string }): Promise<wire.Retention> {
    return this.#calls.post('retention', `${packagePath(id)}/retention/extensions`, body, { once: true });
  }

  placeHold(id: string, body: { reason: string; reference?: string }): Promise<wire.Hold> {
    return this.#calls.post('hold', `${packagePath(id)}/holds`, body, { once: true });
  }

  releaseHold(id: string, holdId: string, reason: string): Promise<wire.Hold> {
    const path = `${packagePath(id)}/holds/${encodeURIComponent(holdId)}/release`;
    return this.#calls.post('hold', path, { reason }, { once: true });
  }

  /** Asked for once: limits do not change while a verb runs. */
  limits(): Promise<Limits> {
    this.#limits ??= this.#calls.get('limits', '/v1/limits');
    return this.#limits;
  }

  #manifest<T>(
    { id }: ManifestOwner,
    format: 'json' | 'sha256sum',
    read: (body: AsyncIterable<Buffer>) => Promise<T>,
  ): Promise<T> {
    const call = { method: 'GET', path: `${packagePath(id)}/manifest`, query: { format } } as const;
    return this.#calls.ask(call, ({ body }) => read(body));
  }
}

function manifestMax({ file_count }: ManifestOwner): number {
  return Math.min(MANIFEST_MAX, MANIFEST_REST_MAX + file_count * MANIFEST_ENTRY_MAX);
}
