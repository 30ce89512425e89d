import type { PartRequest, PlannedUpload } from '../../src/api/types.ts';
import { type Api, sha256 } from './api.ts';

/** Registers one file and plans its upload. */
export async function planOne(api: Api, bytes: Buffer, partSize = bytes.length) {
  const id = await api.create();
  const digest = sha256(bytes);
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', digest, size: bytes.length }] });
  const parts: Array<{ digest: string; size: number }> = [];
  for (let at = 0; at < bytes.length; at += partSize) {
    const part = bytes.subarray(at, at + partSize);
    parts.push({ digest: sha256(part), size: part.length });
  }
  const objects = [{ digest, size: bytes.length, ...(parts.length > 1 ? { parts } : {}) }];
  const answer = await api.post(`/v1/packages/${id}/uploads`, { objects });
  return { id, digest, objects, answer, upload: answer.body.uploads?.[0] as PlannedUpload };
}

export function sliceOf(bytes: Buffer, part: PartRequest): Buffer {
  return bytes.subarray(part.offset, part.offset + part.size);
}
