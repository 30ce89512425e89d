import { type Api, apiOf, sha256 } from '../api.ts';
import { framedPack } from '../frames.ts';
import { packOf } from '../pack.ts';
import type { TestService } from '../service.ts';
import { type ApiDocument, readDocument } from './document.ts';
import { Pool } from './pool.ts';

export interface Prepared {
  url: string;
  /** Null: none is needed. */
  token: string | null;
  document: ApiDocument;
  pool: Pool;
}

/** A service that has something of everything, so that requests meet it from the first on. */
export async function prepare(service: TestService, token: string | null): Promise<Prepared> {
  const api = apiOf(service.url, token ?? undefined);
  const pool = new Pool();
  const texts = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`tmp/${n}`, `a text of package ${n}`]));
  pool.add('finalized', await api.preserve(texts, { name: 'expired', retention_class: 'transient' }));
  service.sleepDays(8);
  for (let n = 0; n < 8; n += 1) {
    const id = await api.preserve(texts, { external_id: `prepared ${n}`, file_rules: [{ path: 'tmp/**', days: 0 }] });
    pool.add('finalized', id);
    for (const path of Object.keys(texts)) pool.add('file', { id, path });
    if (n === 0) await api.post(`/v1/packages/${id}/file-deletions`, { paths: ['tmp/0'], reason: 'over' });
  }
  pool.add('finalized', await packed(api));
  pool.add('finalized', await inFrames(api));
  await api.get('/v1/log/checkpoint');
  const document = readDocument((await api.get('/openapi.json')).body);
  return { url: service.url, token, document, pool };
}

async function packed(api: Api): Promise<string> {
  const contents = ['one', 'two', 'three'].map((word) => `${word} of a pack `.repeat(20));
  const { bytes, digest, size, members } = packOf(contents);
  return sendObject(api, contents, { digest, size, members }, bytes);
}

async function inFrames(api: Api): Promise<string> {
  const contents = ['four', 'five', 'six'].map((word) => `${word} in frames `.repeat(800));
  const { bytes, plan } = framedPack(contents, [1, 1, 1]);
  return sendObject(api, contents, plan, bytes);
}

/** @returns the package, finalized */
async function sendObject(api: Api, contents: string[], plan: object, bytes: Buffer): Promise<string> {
  const id = await api.create();
  const files = contents.map((text, n) => ({ path: `${n}`, digest: sha256(text), size: text.length }));
  await api.post(`/v1/packages/${id}/files`, { files });
  const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [plan] })).body.uploads;
  await api.send(upload.parts[0], bytes);
  await api.post(`/v1/uploads/${upload.upload_id}/commit`);
  await api.post(`/v1/packages/${id}/finalize`);
  return id;
}
