import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import type { ObjectRef } from '../../src/blobs/blob-store.ts';
import { openCheckThread } from '../../src/blobs/check-thread.ts';
import { type FileLayer, realFileLayer } from '../../src/blobs/file-layer.ts';
import { type FolderStore, openFolderStore } from '../../src/blobs/fs-store.ts';
import { type UrlSigner, urlSigner } from '../../src/blobs/url-signer.ts';
import { isStoreError, StoreError } from '../../src/core/errors.ts';
import { parseUploadId } from '../../src/core/ids.ts';
import type { PlannedPart } from '../../src/core/part-plan.ts';

export interface FolderHarness {
  store: FolderStore;
  close(): Promise<void>;
}

/** A folder store whose signed URLs are served, by as little as that takes: what it signs for, it remembers. */
export async function openFolderHarness(root: string, files: FileLayer = realFileLayer): Promise<FolderHarness> {
  const signer = urlSigner(randomBytes(32));
  let url = '';
  const store = await openFolderStore({ root, files, signer, checker: openCheckThread(), publicUrl: () => url });
  const parts = new Map<string, PlannedPart>();
  const objects = new Map<string, ObjectRef>();
  const signPart = store.uploads.signPart.bind(store.uploads);
  store.uploads.signPart = (upload, part, expiresAt) => {
    parts.set(`${upload.id}/${part.number}`, part);
    return signPart(upload, part, expiresAt);
  };
  const signDownload = store.objects.signDownload.bind(store.objects);
  store.objects.signDownload = (ref, options) => {
    objects.set(options.objectId, ref);
    return signDownload(ref, options);
  };

  const server = createServer((request, response) => {
    serve({ store, signer, parts, objects }, request, response).catch((error) => {
      const known = isStoreError(error);
      if (!response.headersSent) response.writeHead(known ? error.status : 500);
      response.end(known ? error.code : String(error));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    store,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await store.close();
    },
  };
}

interface Served {
  store: FolderStore;
  signer: UrlSigner;
  parts: Map<string, PlannedPart>;
  objects: Map<string, ObjectRef>;
}

async function serve(served: Served, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://here');
  const presented = {
    expires: Number(query.get('expires')),
    signature: query.get('signature') ?? '',
    now: Date.now(),
  };
  const part = /^\/v1\/uploads\/([^/]+)\/parts\/(\d+)$/.exec(pathname);
  const object = /^\/v1\/objects\/([^/]+)$/.exec(pathname);
  if (part && request.method === 'PUT') {
    const planned = served.parts.get(`${part[1]}/${part[2]}`);
    if (!planned) throw new StoreError('part_not_found', 'no such part');
    const uploadId = parseUploadId(part[1] as string);
    served.signer.verifyPart({ ...planned, uploadId, ...presented });
    await served.store.receivePart(uploadId, planned, request);
    response.end();
  } else if (object && request.method === 'GET') {
    const objectId = object[1] as string;
    const [offset, size] = (query.get('range') ?? '').split('-').map(Number);
    const range = query.has('range') ? { offset: offset as number, size: size as number } : undefined;
    served.signer.verifyDownload({ objectId, range, ...presented });
    if (range && request.headers.range !== `bytes=${range.offset}-${range.offset + range.size - 1}`) {
      throw new StoreError('invalid_signature', 'another range');
    }
    const ref = served.objects.get(objectId);
    if (!ref) throw new StoreError('object_not_found', 'no such object');
    const stream = await served.store.objects.open(ref, range);
    response.writeHead(range ? 206 : 200);
    await pipeline(stream, response);
  } else {
    throw new StoreError('method_not_allowed', 'not here');
  }
}
