import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Fixity, FixityRun } from '../../src/api/types.ts';
import type { ObjectKey } from '../../src/blobs/key-layout.ts';
import type { Api } from './api.ts';
import type { TestService } from './service.ts';

/** Reads now. @returns what was found, when it has ended */
export async function fixityNow(api: Api, options: { package_id?: string; sample?: number } = {}): Promise<FixityRun> {
  const { status, body } = await api.post('/v1/operations/fixity', options);
  if (status !== 202) throw new Error(`${status} ${JSON.stringify(body)}`);
  for (;;) {
    const run: FixityRun = (await api.get(`/v1/operations/fixity/${body.id}`)).body;
    if (run.state !== 'running') return run;
    await sleep(5);
  }
}

export async function fixityOf(api: Api): Promise<Fixity> {
  const { status, body } = await api.get('/v1/operations/fixity');
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  return body;
}

/** Changes stored bytes as a disk that fails does it, or somebody with access to storage. Null: they are gone. */
export async function spoil(
  { services }: TestService,
  key: string,
  change: (bytes: Buffer) => Buffer | null,
): Promise<Buffer> {
  const { objects } = services.blobs;
  const ref = { key: key as ObjectKey, versionId: null };
  const bytes = await buffer(await objects.open(ref));
  const changed = change(Buffer.from(bytes));
  await objects.remove(ref);
  if (changed !== null) await restore({ services }, key, changed);
  return bytes;
}

/** Writes an object's bytes where they stood. */
export async function restore({ services }: Pick<TestService, 'services'>, key: string, bytes: Buffer): Promise<void> {
  const { objects } = services.blobs;
  await objects.remove({ key: key as ObjectKey, versionId: null });
  await objects.write(key as ObjectKey, Readable.from([bytes]));
}

export function flipBit(bytes: Buffer, bit: number): Buffer {
  const at = bit >>> 3;
  bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
  return bytes;
}
