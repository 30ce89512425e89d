import type { PlannedUpload } from '../../src/api/types.ts';
import type { Answer, Api } from './api.ts';
import { sha256 } from './api.ts';
import type { EncodedObject, EncodedPlan } from './frames.ts';

/** Paths are case-sensitive names, values the files' bytes. */
export type Files = Record<string, string | Uint8Array>;

/** A package in which these files are registered. @returns its id */
export async function packageOf(api: Api, files: Files, fields = {}): Promise<string> {
  const id = await api.create(fields);
  const list = Object.entries(files).map(([path, content]) => ({
    path,
    digest: sha256(content),
    size: Buffer.byteLength(content),
  }));
  const answer = await api.post(`/v1/packages/${id}/files`, { files: list });
  if (answer.status !== 200) throw new Error(`register: ${answer.status} ${JSON.stringify(answer.body)}`);
  return id;
}

export function planEncoded(api: Api, id: string, ...objects: Array<Partial<EncodedPlan> | object>): Promise<Answer> {
  return api.post(`/v1/packages/${id}/uploads`, { objects });
}

export interface Sent {
  uploadId: string;
  /** What the commit answered. */
  answer: Answer;
}

/** Plans, sends and commits. @param plan other than the object's own */
export async function sendEncoded(
  api: Api,
  id: string,
  { bytes, plan: own }: EncodedObject,
  plan: object = own,
): Promise<Sent> {
  const planned = await planEncoded(api, id, plan);
  if (planned.status !== 200) throw new Error(`plan: ${planned.status} ${JSON.stringify(planned.body)}`);
  const { upload_id, parts } = (planned.body.uploads as [PlannedUpload])[0];
  for (const part of parts) {
    const sent = await api.send(part, bytes.subarray(part.offset, part.offset + part.size));
    if (sent.status !== 200) throw new Error(`part ${part.number}: ${sent.status} ${JSON.stringify(sent.body)}`);
  }
  return { uploadId: String(upload_id), answer: await api.post(`/v1/uploads/${upload_id}/commit`) };
}

/** A finalized package of these files in encoded objects. @returns its id */
export async function preserveEncoded(
  api: Api,
  files: Files,
  objects: readonly EncodedObject[],
  fields = {},
): Promise<string> {
  const id = await packageOf(api, files, fields);
  for (const object of objects) {
    const { answer } = await sendEncoded(api, id, object);
    if (answer.body.state !== 'stored') throw new Error(`commit: ${answer.status} ${JSON.stringify(answer.body)}`);
  }
  const sealed = await api.post(`/v1/packages/${id}/finalize`);
  if (sealed.status !== 200) throw new Error(`finalize: ${sealed.status} ${JSON.stringify(sealed.body)}`);
  return id;
}
