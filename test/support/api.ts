import { hash } from 'node:crypto';
import type { PartRequest, PlannedUploads, RegisteredFiles } from '../../src/api/types.ts';

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: answers are asserted on, field by field
  body: any;
  headers: Headers;
}

/** A bare HTTP client, so that tests see what is on the wire. */
export interface Api {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string): Promise<Answer>;
  post(path: string, body?: unknown): Promise<Answer>;
  /** Sends a part's bytes to its signed URL. */
  send(part: PartRequest, bytes: Uint8Array): Promise<Answer>;
  /** Creates a package. @returns its id */
  create(fields?: Record<string, unknown>): Promise<string>;
  /** Registers, plans, sends and commits these files. */
  store(packageId: string, files: Record<string, string | Uint8Array>): Promise<void>;
  /** A finalized package of these files. @returns its id */
  preserve(files: Record<string, string | Uint8Array>, fields?: Record<string, unknown>): Promise<string>;
}

export function sha256(bytes: string | Uint8Array): string {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

export function apiOf(baseUrl: string, token?: string): Api {
  const api: Api = {
    async call(method, path, body, headers = {}) {
      const raw = body instanceof Uint8Array || typeof body === 'string';
      const response = await fetch(path.startsWith('http') ? path : baseUrl + path, {
        method,
        body: body === undefined ? undefined : raw ? (body as RequestInit['body']) : JSON.stringify(body),
        headers: {
          ...(body === undefined || raw ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        redirect: 'manual',
      });
      const text = await response.text();
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return {
        status: response.status,
        body: isJson && text !== '' ? JSON.parse(text) : text,
        headers: response.headers,
      };
    },
    get: (path) => api.call('GET', path),
    post: (path, body) => api.call('POST', path, body),
    async send(part, bytes) {
      const { 'content-length': _, ...headers } = part.headers;
      const response = await fetch(part.url, { method: part.method, headers, body: bytes as RequestInit['body'] });
      const text = await response.text();
      // Storage that takes parts itself answers in XML.
      const isJson = /json/.test(response.headers.get('content-type') ?? '');
      return { status: response.status, body: isJson ? JSON.parse(text) : text || null, headers: response.headers };
    },
    async create(fields = {}) {
      const answer = await api.post('/v1/packages', { name: 'a run', producer: 'tests', ...fields });
      if (answer.status !== 201) throw new Error(`create: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body.id;
    },
    async store(packageId, files) {
      const entries = Object.entries(files).map(([path, content]) => {
        const bytes = Buffer.from(content as Uint8Array);
        return { path, bytes, digest: sha256(bytes), size: bytes.length };
      });
      const registered = await expect(
        api.post(`/v1/packages/${packageId}/files`, {
          files: entries.map(({ path, digest, size }) => ({ path, digest, size })),
        }),
      );
      const missing = new Set(
        (registered.body as RegisteredFiles).files
          .filter((file) => file.state === 'missing')
          .map((file) => file.digest),
      );
      if (missing.size === 0) return;
      const byDigest = new Map(entries.map((entry) => [entry.digest, entry]));
      const objects = [...missing].map((digest) => ({ digest, size: byDigest.get(digest)?.size }));
      const planned = await expect(api.post(`/v1/packages/${packageId}/uploads`, { objects }));
      for (const upload of (planned.body as PlannedUploads).uploads) {
        const bytes = byDigest.get(upload.digest)?.bytes as Buffer;
        for (const part of upload.parts)
          await expect(api.send(part, bytes.subarray(part.offset, part.offset + part.size)));
        await expect(api.post(`/v1/uploads/${upload.upload_id}/commit`));
      }
    },
    async preserve(files, fields) {
      const id = await api.create(fields);
      await api.store(id, files);
      await expect(api.post(`/v1/packages/${id}/finalize`));
      return id;
    },
  };
  return api;
}

async function expect(answer: Promise<Answer>): Promise<Answer> {
  const result = await answer;
  if (result.status >= 300) throw new Error(`${result.status} ${JSON.stringify(result.body)}`);
  return result;
}
