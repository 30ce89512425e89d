import { hash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import type {
  Delivery,
  Fixity,
  FixityRun,
  FoundFile,
  Share,
  SigningKey,
  Sweep,
  Token,
  Webhook,
} from '../../src/api/types.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { writeEndlessly } from './endless.ts';
import { PACKAGE_ID, packageAnswer } from './wire.ts';

/** What one route does instead of answering as it should: gives another JSON value, or writes the answer itself. */
export type Lie = { json: unknown; status?: number } | ((response: ServerResponse, asked: Asked) => unknown);

export interface Asked {
  url: string;
  /** The service's own address. */
  base: string;
  body: string;
}

export type LyingRoute =
  | 'limits'
  | 'packages'
  | 'create'
  | 'package'
  | 'files'
  | 'register'
  | 'manifest'
  | 'downloads'
  | 'bytes'
  | 'uploads'
  | 'part'
  | 'part urls'
  | 'commit'
  | 'upload'
  | 'finalize'
  | 'link'
  | 'retention'
  | 'extend'
  | 'hold'
  | 'release'
  | 'delete'
  | 'eligible'
  | 'sweep'
  | 'fixity'
  | 'fixity run'
  | 'repairs'
  | 'repair manifests'
  | 'quota'
  | 'attestation'
  | 'keys'
  | 'new key'
  | 'tokens'
  | 'new token'
  | 'revoke'
  | 'found'
  | 'shares'
  | 'new share'
  | 'revoke share'
  | 'webhooks'
  | 'new webhook'
  | 'remove webhook'
  | 'test webhook'
  | 'rotate'
  | 'deliveries'
  | 'replay'
  | 'log'
  | 'checkpoint'
  | 'proof'
  | 'ready'
  | 'diagnosis';

export interface LyingService {
  url: string;
  /** What is asked for, in order: `GET /v1/limits`. */
  seen: string[];
  /** Bytes of answers that were handed to connections. */
  written: () => number;
  close(): Promise<void>;
}

const TIME = '2026-01-01T00:00:00.000Z';
export const FILE_BYTES = Buffer.from('the bytes of the one file');
export const FILE_DIGEST = `sha256:${hash('sha256', FILE_BYTES, 'hex')}`;
export const HOLD_ID = `hold_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;
const UPLOAD_ID = `upl_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;

/** The manifest of the one package, with other fields for its files. */
export function manifestOf(files: unknown[] = [manifestFile()]): string {
  return JSON.stringify({ files, package: { id: PACKAGE_ID }, schema: 'artifact-store/manifest/v1' });
}

export function manifestFile(about: Record<string, unknown> = {}): Record<string, unknown> {
  return { media_type: 'text/plain', path: 'file', sha256: FILE_DIGEST.slice(7), size: FILE_BYTES.length, ...about };
}

/** A finalized package of one file whose manifest is this one. */
export function sealed(manifest: string = manifestOf(), about: object = {}) {
  const digest = `sha256:${hash('sha256', manifest, 'hex')}`;
  return packageAnswer({
    status: 'finalized',
    file_count: 1,
    total_size: FILE_BYTES.length,
    manifest_digest: digest,
    finalized_at: TIME,
    ...about,
  });
}

/**
 * A service with one package, one file and one hold, that answers every route as the real one does, but where it is told to
 * lie. The real one cannot be made to.
 */
export async function startLyingService(lies: Partial<Record<LyingRoute, Lie>> = {}): Promise<LyingService> {
  const seen: string[] = [];
  const connections = new Set<{ bytesWritten: number }>();
  const server = createServer(async (request, response) => {
    const { method = '', url = '' } = request;
    seen.push(`${method} ${url}`);
    const body = (await request.toArray()).join('');
    const route = routeOf(method, new URL(url, 'http://lying').pathname);
    const lie = route === null ? undefined : lies[route];
    if (typeof lie === 'function') return lie(response, { url, body, base: base(server) });
    if (lie !== undefined) return answer(response, lie.json, lie.status);
    if (route === null) return answer(response, { code: 'route_not_found', detail: 'no' }, 404);
    honest(route, response, base(server), body);
  });
  server.on('connection', (socket) => connections.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: base(server),
    seen,
    written: () => [...connections].reduce((sum, { bytesWritten }) => sum + bytesWritten, 0),
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** A body that begins so and has no end. */
export function endless(beginning: string, status = 200, headers: Record<string, string> = {}, filler = 'x'): Lie {
  const piece = filler.repeat(Math.ceil(65_536 / filler.length));
  return async (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.write(beginning);
    await writeEndlessly(response, piece);
  };
}

function base(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function answer(response: ServerResponse, value: unknown, status = 200): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json';
  response.writeHead(status, { 'content-type': type }).end(JSON.stringify(value));
}

const ROUTES: ReadonlyArray<[method: string, path: RegExp, LyingRoute]> = [
  ['GET', /^\/v1\/limits$/, 'limits'],
  ['GET', /^\/v1\/packages$/, 'packages'],
  ['POST', /^\/v1\/packages$/, 'create'],
  ['GET', /^\/v1\/packages\/[^/]+$/, 'package'],
  ['DELETE', /^\/v1\/packages\/[^/]+$/, 'delete'],
  ['GET', /\/files$/, 'files'],
  ['POST', /\/files$/, 'register'],
  ['GET', /\/manifest$/, 'manifest'],
  ['POST', /\/downloads$/, 'downloads'],
  ['GET', /^\/bytes$/, 'bytes'],
  ['POST', /\/uploads$/, 'uploads'],
  ['PUT', /^\/part$/, 'part'],
  ['POST', /\/urls$/, 'part urls'],
  ['POST', /\/commit$/, 'commit'],
  ['GET', /^\/v1\/uploads\/[^/]+$/, 'upload'],
  ['POST', /\/finalize$/, 'finalize'],
  ['GET', /\/link$/, 'link'],
  ['GET', /\/retention$/, 'retention'],
  ['POST', /\/extensions$/, 'extend'],
  ['POST', /\/holds$/, 'hold'],
  ['POST', /\/release$/, 'release'],
  ['GET', /^\/v1\/retention\/eligible$/, 'eligible'],
  ['POST', /^\/v1\/operations\/sweeps$/, 'sweep'],
  ['GET', /^\/v1\/operations\/fixity$/, 'fixity'],
  ['POST', /^\/v1\/operations\/fixity$/, 'fixity run'],
  ['POST', /^\/v1\/operations\/repairs$/, 'repairs'],
  ['POST', /^\/v1\/operations\/repairs\/manifests$/, 'repair manifests'],
  ['GET', /^\/v1\/quota$/, 'quota'],
  ['GET', /\/attestation$/, 'attestation'],
  ['GET', /^\/v1\/keys$/, 'keys'],
  ['POST', /^\/v1\/keys$/, 'new key'],
  ['GET', /^\/v1\/tokens$/, 'tokens'],
  ['POST', /^\/v1\/tokens$/, 'new token'],
  ['DELETE', /^\/v1\/tokens\/[^/]+$/, 'revoke'],
  ['GET', /^\/v1\/files$/, 'found'],
  ['GET', /\/shares$/, 'shares'],
  ['POST', /\/shares$/, 'new share'],
  ['DELETE', /^\/v1\/shares\/[^/]+$/, 'revoke share'],
  ['GET', /^\/v1\/webhooks$/, 'webhooks'],
  ['POST', /^\/v1\/webhooks$/, 'new webhook'],
  ['DELETE', /^\/v1\/webhooks\/[^/]+$/, 'remove webhook'],
  ['POST', /^\/v1\/webhooks\/[^/]+\/test$/, 'test webhook'],
  ['POST', /^\/v1\/webhooks\/[^/]+\/secret$/, 'rotate'],
  ['GET', /^\/v1\/webhooks\/[^/]+\/deliveries$/, 'deliveries'],
  ['POST', /^\/v1\/webhooks\/[^/]+\/replay$/, 'replay'],
  ['GET', /^\/v1\/log$/, 'log'],
  ['GET', /^\/v1\/log\/checkpoint$/, 'checkpoint'],
  ['GET', /^\/v1\/log\/proof$/, 'proof'],
  ['GET', /^\/readyz$/, 'ready'],
  ['GET', /^\/v1\/diagnosis$/, 'diagnosis'],
];

function routeOf(method: string, path: string): LyingRoute | null {
  return ROUTES.find(([verb, pattern]) => verb === method && pattern.test(path))?.[2] ?? null;
}

export const RETENTION = {
  package_id: PACKAGE_ID,
  class: 'raw-evidence',
  expires_at: null,
  held: false,
  eligible: false,
  reason: 'never_expires',
  holds: [],
  events: [],
};

export const QUOTA = {
  producer: 'tests',
  used_bytes: 3,
  reserved_bytes: 2,
  quota_bytes: 10,
  open_packages: 1,
  open_packages_max: 9,
};

export const HOLD = {
  id: HOLD_ID,
  reason: 'why',
  reference: null,
  placed_by: 'somebody',
  placed_at: TIME,
  released_by: null,
  released_at: null,
  release_reason: null,
};

export const ELIGIBLE = {
  package_id: PACKAGE_ID,
  name: 'fake',
  producer: 'tests',
  status: 'finalized',
  retention_class: 'raw-evidence',
  expires_at: TIME,
  reason: 'expired',
  total_size: 1,
};

const RUN = {
  id: 'run',
  state: 'done',
  asked_by: 'somebody',
  started_at: TIME,
  ended_at: TIME,
  error: null,
} as const;
const NONE = { count: 0, bytes: 0 };

export const SWEEP: Sweep = {
  ...RUN,
  apply: false,
  reconcile: false,
  report: {
    unneeded: NONE,
    sparse: NONE,
    rewritten: NONE,
    waiting: NONE,
    locked: NONE,
    due: NONE,
    leftovers: NONE,
    unknown: NONE,
    unknown_kept: NONE,
    young: NONE,
    missing: NONE,
    unfinished_uploads: NONE,
    unfinished_kept: NONE,
    spool: NONE,
    freed: NONE,
    unknown_packages: [],
    requests: 1,
  },
};

export const DAMAGED: Fixity['damaged']['items'][number] = {
  package_id: PACKAGE_ID,
  path: 'file',
  kind: 'file',
  digest: FILE_DIGEST,
  size: FILE_BYTES.length,
  object_id: 'obj',
  bytes: 'wrong',
  copies: 0,
  last_good_at: TIME,
  found_at: TIME,
  seen: 'other bytes',
};

export const FIXITY: Fixity = {
  period_seconds: 1,
  bytes_per_second: 1,
  seen: { objects: 0, bytes: 0 },
  overdue: { objects: 0, bytes: 0 },
  oldest_seen_at: null,
  damaged: { items: [], more: false },
  runs: [],
};

export const FIXITY_RUN: FixityRun = {
  ...RUN,
  package_id: null,
  sample: null,
  report: { objects: 1, bytes: 1, good: 1, damaged: 0, missing: 0, unread: 0, newly: 0 },
  damaged: { items: [], more: false },
};

const COMPONENT = { kind: 'fake', ok: true, latency_ms: 1 };
export const READY = {
  status: 'ready',
  version: '0.0.0',
  registry: { ...COMPONENT, schema: '1' },
  blob_store: { ...COMPONENT, free_bytes: 1, capabilities: {}, findings: [] },
};

const PEM = `-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
-----END PUBLIC KEY-----
`;
export const TOKEN: Token = {
  id: `tok_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`,
  name: 'a token',
  description: null,
  scopes: ['operator'],
  producers: null,
  actor: 'token:a token:tok_x',
  state: 'active',
  created_at: TIME,
  created_by: 'admin',
  expires_at: null,
  last_used_at: null,
  revoked_at: null,
  revoked_by: null,
};

export const SHARE: Share = {
  id: `shr_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`,
  package_id: PACKAGE_ID,
  path: null,
  note: null,
  state: 'active',
  created_at: TIME,
  created_by: 'admin',
  expires_at: TIME,
  revoked_at: null,
  revoked_by: null,
};

export const FOUND: FoundFile = {
  package_id: PACKAGE_ID,
  package_name: 'a run',
  package_status: 'finalized',
  producer: 'tests',
  subject: null,
  path: 'file',
  digest: FILE_DIGEST,
  size: FILE_BYTES.length,
  since: TIME,
  state: 'stored',
  checked_at: TIME,
};

export const WEBHOOK: Webhook = {
  id: `whk_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`,
  url: 'https://receiver.example/',
  format: 'cloudevents',
  description: null,
  types: null,
  producers: null,
  state: 'active',
  created_at: TIME,
  created_by: 'admin',
  stopped_at: null,
  waiting: 0,
  dead: 0,
  failures: 0,
  delivered_at: null,
  failed_at: null,
  failure: null,
  previous_secret_until: null,
};

export const DELIVERY: Delivery = {
  event_id: 'evt_x',
  type: 'package.finalized',
  package_id: null,
  state: 'dead',
  attempts: 11,
  next_at: null,
  failed_at: TIME,
  failure: 'it answered 500',
};

export const KEY: SigningKey = {
  id: '0'.repeat(64),
  algorithm: 'ed25519',
  public_key: PEM,
  since: TIME,
  retired_at: null,
};

export function downloadsOf(url: string, about: object = {}) {
  const size = FILE_BYTES.length;
  const entries = [{ path: 'file', digest: FILE_DIGEST, offset: 0, size }];
  return {
    objects: [{ url: `${url}/bytes`, headers: {}, size, expires_at: TIME, entries, ...about }],
    next_cursor: null,
  };
}

export function linkOf(about: object = {}) {
  const event = { event_type: 'artifact_link', author: 'tests', summary: 'a package', detail: {} };
  return {
    package_id: PACKAGE_ID,
    manifest_digest: null,
    url: 'http://service.example/',
    event: { ...event, ...about },
  };
}

export interface SentObject {
  digest: string;
  size: number;
  stored_size?: number;
}

interface Sent {
  files?: Array<{ path: string; digest: string }>;
  objects?: SentObject[];
}

/** The plan of one object: one part, about which something may be a lie. */
export function planOf(url: string, { digest, size, stored_size }: SentObject, about: object = {}) {
  const part = {
    number: 1,
    offset: 0,
    size: stored_size ?? size,
    digest,
    received: false,
    method: 'PUT',
    url: `${url}/part`,
    headers: {},
    expires_at: TIME,
    ...about,
  };
  return { upload_id: UPLOAD_ID, digest, state: 'open', parts: [part] };
}

function honest(route: LyingRoute, response: ServerResponse, url: string, body: string): void {
  const sent = (body.startsWith('{') ? JSON.parse(body) : {}) as Sent;
  const answers: Record<Exclude<LyingRoute, 'manifest' | 'bytes' | 'part'>, unknown> = {
    limits: DEFAULT_LIMITS,
    packages: { items: [sealed()], next_cursor: null },
    create: packageAnswer({ status: 'created' }),
    package: sealed(),
    files: {
      items: [
        {
          path: 'file',
          digest: FILE_DIGEST,
          size: 1,
          media_type: 'a/b',
          mtime: null,
          executable: false,
          state: 'stored',
        },
      ],
      next_cursor: null,
    },
    register: { files: sent.files?.map(({ path, digest }) => ({ path, digest, state: 'missing' })) },
    downloads: downloadsOf(url),
    uploads: { uploads: sent.objects?.map((object) => planOf(url, object)) },
    'part urls': { parts: [] },
    commit: { upload_id: UPLOAD_ID, digest: FILE_DIGEST, state: 'stored' },
    upload: {},
    finalize: sealed(),
    link: linkOf(),
    retention: RETENTION,
    extend: RETENTION,
    hold: HOLD,
    release: { ...HOLD, released_at: TIME, released_by: 'somebody', release_reason: 'done' },
    delete: packageAnswer({ status: 'deleted', deleted_at: TIME, reason: 'why' }),
    eligible: { items: [ELIGIBLE], next_cursor: null },
    sweep: SWEEP,
    fixity: FIXITY,
    'fixity run': FIXITY_RUN,
    repairs: { uploads: [] },
    'repair manifests': { repaired: [], kept: [] },
    quota: { items: [QUOTA], next_cursor: null },
    attestation: {},
    keys: { items: [KEY], current: KEY.id },
    'new key': KEY,
    found: { items: [FOUND], next_cursor: null },
    shares: { items: [SHARE], next_cursor: null },
    'new share': { ...SHARE, url: 'http://x.example/ui/shared/artsh_x' },
    'revoke share': SHARE,
    tokens: { items: [TOKEN], next_cursor: null },
    'new token': { ...TOKEN, token: 'arts_x' },
    revoke: TOKEN,
    webhooks: { items: [WEBHOOK], next_cursor: null },
    'new webhook': { ...WEBHOOK, secret: 'whsec_x' },
    'remove webhook': WEBHOOK,
    'test webhook': { delivered: true, status: 204, failure: null },
    rotate: { ...WEBHOOK, secret: 'whsec_x' },
    deliveries: { items: [DELIVERY], next_cursor: null },
    replay: { replayed: 1 },
    log: { origin: 'log', verifier: '', checkpoint: null, gaps: [] },
    checkpoint: {},
    proof: {},
    ready: READY,
    diagnosis: { checks: [] },
  };
  if (route === 'manifest') response.end(manifestOf());
  else if (route === 'bytes') response.end(FILE_BYTES);
  else if (route === 'part') response.end();
  else answer(response, answers[route], route === 'create' ? 201 : 200);
}
