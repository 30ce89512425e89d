import { setTimeout as sleep } from 'node:timers/promises';
import type { StartSweep, Sweep } from '../../src/api/types.ts';
import { blobKey, type ObjectKey } from '../../src/blobs/key-layout.ts';
import { digestOf } from '../../src/core/digest.ts';
import { newId, type UploadId } from '../../src/core/ids.ts';
import type { Api } from './api.ts';
import type { TestService } from './service.ts';

/** Begins a sweep. @returns what it found, when it has ended */
export async function sweepOf(api: Api, options: StartSweep = {}): Promise<Sweep> {
  const { status, body } = await api.post('/v1/operations/sweeps', options);
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
  return sweepsEnded(api, body.id);
}

export async function sweepsEnded(api: Api, id: string): Promise<Sweep> {
  for (;;) {
    const { body } = await api.get(`/v1/operations/sweeps/${id}`);
    if (body.state !== 'running') return body;
    await sleep(10);
  }
}

/** Of all objects in the store. */
export async function keysOf({ services }: TestService, prefix = 'objects/'): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of services.blobs.objects.list(prefix)) keys.push(key);
  return keys;
}

/** Of objects of blobs, those that are not live first. */
export async function statesOf({ services }: TestService): Promise<string[]> {
  const objects = await services.registry.read.blobs.keysAfter('', 1_000);
  return objects.map(({ state }) => state).toSorted();
}

/** An object in the store alone. */
export async function strayObject({ services }: TestService, bytes: Buffer): Promise<ObjectKey> {
  const key = blobKey(digestOf(bytes), newId('upl', Date.now()) as UploadId);
  await services.blobs.objects.write(key, bytesOf(bytes));
  return key;
}

/** A second object of the same bytes, as an overlapping pack leaves it. */
export async function secondObject(service: TestService, text: string): Promise<string> {
  const { registry } = service.services;
  const key = await strayObject(service, Buffer.from(text));
  const digest = digestOf(text);
  const id = newId('obj', Date.now());
  const fields = { id, kind: 'blob' as const, key, version_id: null, digest, size: text.length, created_at: 1 };
  await registry.transaction(async ({ blobs }) => {
    await blobs.addObject({ ...fields, stored: null });
    await blobs.addLocations(id, [{ digest, size: text.length, offset: 0 }]);
  });
  return id;
}

export async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
