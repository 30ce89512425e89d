import { hash } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';

export interface FakeFile {
  path: string;
  /** What is served. */
  bytes: string;
  /** What is claimed; default: the bytes' own. */
  digest?: string;
  size?: number;
}

export interface FakeStore {
  url: string;
  packageId: string;
  close(): Promise<void>;
}

/**
 * A store that lies: it offers whatever it is told to, which the real service cannot be made to. Open packages answer
 * with a list of files, finalized ones with a manifest.
 */
export async function startFakeStore(
  files: FakeFile[],
  options: { finalized?: boolean; manifestDigest?: string } = {},
): Promise<FakeStore> {
  const packageId = `pkg_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;
  const listed = files.map(({ path, bytes, digest, size }) => ({
    path,
    digest: digest ?? `sha256:${hash('sha256', bytes, 'hex')}`,
    size: size ?? Buffer.byteLength(bytes),
    media_type: 'text/plain',
    mtime: null,
    executable: false,
    state: 'stored',
  }));
  const manifest = JSON.stringify({
    files: listed.map(({ path, digest, size, media_type }) => ({ path, sha256: digest.slice(7), size, media_type })),
    package: { id: packageId },
    schema: 'artifact-store/manifest/v1',
  });
  const pkg = {
    id: packageId,
    status: options.finalized ? 'finalized' : 'uploading',
    manifest_digest: options.finalized ? (options.manifestDigest ?? `sha256:${hash('sha256', manifest, 'hex')}`) : null,
    file_count: files.length,
  };
  const objects = () =>
    listed.map(({ path, digest, size }, index) => ({
      url: `${url}/bytes/${index}`,
      headers: {},
      size,
      expires_at: '2999-01-01T00:00:00Z',
      entries: [{ path, digest, offset: 0, size }],
    }));
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://fake').pathname;
    request.resume();
    const json = (body: unknown): void => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (path.startsWith('/bytes/')) response.end(files[Number(path.slice('/bytes/'.length))]?.bytes);
    else if (path === '/v1/limits') json(DEFAULT_LIMITS);
    else if (path.endsWith('/manifest')) response.end(manifest);
    else if (path.endsWith('/files')) json({ items: listed, next_cursor: null });
    else if (path.endsWith('/downloads')) json({ objects: objects(), next_cursor: null });
    else json(pkg);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    packageId,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
