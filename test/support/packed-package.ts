import type { PlannedUpload } from '../../src/api/types.ts';
import { type Api, sha256 } from './api.ts';
import { packOf } from './pack.ts';

/** Paths are case-sensitive names, values the files' bytes. */
export type PackedFiles = Record<string, string | Uint8Array>;

/**
 * A finalized package whose files lie in these packs, in the order given; what a pack has already is not put into it
 * again. @returns its id
 */
export async function preservePacked(
  api: Api,
  packs: readonly PackedFiles[],
  fields: Record<string, unknown> = {},
): Promise<string> {
  const id = await api.create(fields);
  for (const files of packs) await packInto(api, id, files);
  await must(api.post(`/v1/packages/${id}/finalize`));
  return id;
}

/** Files of an open package, in one pack. */
export async function packInto(api: Api, id: string, files: PackedFiles): Promise<void> {
  const entries = Object.entries(files).map(([path, content]) => {
    const bytes = Buffer.from(content as Uint8Array);
    return { path, bytes, digest: sha256(bytes), size: bytes.length };
  });
  for (let start = 0; start < entries.length; start += 1_000) {
    const list = entries.slice(start, start + 1_000).map(({ path, digest, size }) => ({ path, digest, size }));
    await must(api.post(`/v1/packages/${id}/files`, { files: list }));
  }
  const distinct = new Map(entries.map(({ digest, bytes }) => [digest, bytes]));
  const pack = packOf([...distinct.values()]);
  const { digest, size, members } = pack;
  const planned = await must(api.post(`/v1/packages/${id}/uploads`, { objects: [{ digest, size, members }] }));
  const { upload_id, parts } = (planned.body.uploads as [PlannedUpload])[0];
  for (const part of parts) {
    await must(api.send(part, pack.bytes.subarray(part.offset, part.offset + part.size)));
  }
  await must(api.post(`/v1/uploads/${upload_id}/commit`));
}

// biome-ignore lint/suspicious/noExplicitAny: answers are asserted on, field by field
async function must(answer: Promise<{ status: number; body: any }>): Promise<{ body: any }> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`${status} ${JSON.stringify(body)}`);
  return { body };
}
