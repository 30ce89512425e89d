import { hash } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';
import { PACKAGE_ID, packageAnswer } from './wire.ts';

export interface FakeFile {
  path: string;
  /** What is served. */
  bytes: string | Buffer;
  /** What is claimed; default: the bytes' own. */
  digest?: string;
  size?: number;
}

/** An object, and where files are said to be in it. */
export interface FakeObject {
  bytes: Buffer;
  /** What is claimed. */
  size?: number;
  /** The frame table, in base64, of bytes in frames. */
  frames?: string;
  /** Bound into its signature. */
  headers?: Record<string, string>;
  entries: Array<{ path: string; offset: number }>;
}

export interface FakeRequest {
  /** `/bytes/<index of the object>`, with the number of the answer that offered it as a query. */
  url: string;
  range: string | undefined;
}

export interface FakeStore {
  url: string;
  packageId: string;
  /** What is offered; may be changed while requests come. */
  objects: FakeObject[];
  /** Every request for bytes, in order. */
  seen: FakeRequest[];
  /** How often downloads were asked for. */
  plans: number;
  /** Answers a request for bytes in another way: true when it did. */
  serve: (request: FakeRequest, response: ServerResponse, object: FakeObject) => boolean;
  close(): Promise<void>;
}

export interface FakeOptions {
  finalized?: boolean;
  manifestDigest?: string;
  /** Default: one for each file. */
  objects?: FakeObject[];
}

/**
 * A store that lies: it offers whatever it is told to, which the real service cannot be made to. Open packages answer
 * with a list of files, finalized ones with a manifest.
 */
export async function startFakeStore(files: FakeFile[], options: FakeOptions = {}): Promise<FakeStore> {
  const packageId = PACKAGE_ID;
  const listed = files.map(({ path, bytes, digest, size }) => ({
    path,
    digest: digest ?? `sha256:${hash('sha256', bytes, 'hex')}`,
    size: size ?? Buffer.byteLength(bytes),
    media_type: 'text/plain',
    mtime: null,
    executable: false,
    state: 'stored',
  }));
  const byPath = new Map(listed.map((file) => [file.path, file]));
  const manifest = JSON.stringify({
    files: listed.map(({ path, digest, size, media_type }) => ({ path, sha256: digest.slice(7), size, media_type })),
    package: { id: packageId },
    schema: 'artifact-store/manifest/v1',
  });
  const pkg = packageAnswer({
    status: options.finalized ? 'finalized' : 'uploading',
    manifest_digest: options.finalized ? (options.manifestDigest ?? `sha256:${hash('sha256', manifest, 'hex')}`) : null,
    file_count: files.length,
  });
  const own = files.map(({ path, bytes, size }) => ({
    bytes: Buffer.from(bytes as string),
    size: size ?? Buffer.byteLength(bytes),
    entries: [{ path, offset: 0 }],
  }));

  /** As the service: only objects that hold a path that was asked for. */
  const plan = (paths: ReadonlySet<string>) =>
    store.objects
      .map(({ bytes, size, frames, headers, entries }, index) => ({
        url: `${store.url}/bytes/${index}?plan=${store.plans}`,
        headers: headers ?? {},
        size: size ?? bytes.length,
        expires_at: '2999-01-01T00:00:00Z',
        ...(frames === undefined ? {} : { encoding: 'zstd-seekable', frames }),
        entries: entries.flatMap(({ path, offset }) => {
          const { digest, size: length } = byPath.get(path) as (typeof listed)[number];
          return paths.has(path) ? [{ path, digest, offset, size: length }] : [];
        }),
      }))
      .filter(({ entries }) => entries.length > 0);

  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? '/', 'http://fake').pathname;
    const body = await request.setEncoding('utf8').toArray();
    const json = (answer: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    };
    if (path.startsWith('/bytes/')) {
      const seen = { url: request.url ?? '', range: request.headers.range };
      store.seen.push(seen);
      const object = store.objects[Number(path.slice('/bytes/'.length))] as FakeObject;
      if (!store.serve(seen, response, object)) serveBytes(seen, response, object);
    } else if (path === '/v1/limits') json(DEFAULT_LIMITS);
    else if (path.endsWith('/manifest')) response.end(manifest);
    else if (path.endsWith('/files')) json({ items: listed, next_cursor: null });
    else if (path.endsWith('/downloads')) {
      store.plans += 1;
      json({ objects: plan(new Set(JSON.parse(body.join('')).paths)), next_cursor: null });
    } else json(pkg);
  });
  const store: FakeStore = {
    url: '',
    packageId,
    objects: options.objects ?? own,
    seen: [],
    plans: 0,
    serve: () => false,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  store.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return store;
}

/** As a well-behaved storage does (RFC 9110, 14). */
function serveBytes({ range }: FakeRequest, response: ServerResponse, { bytes }: FakeObject): void {
  const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? '');
  if (match === null) {
    response.end(bytes);
    return;
  }
  const [first, last] = [Number(match[1]), Math.min(Number(match[2]), bytes.length - 1)];
  if (first > last) response.writeHead(416).end();
  else {
    response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${bytes.length}` });
    response.end(bytes.subarray(first, last + 1));
  }
}
