import { type Api, sha256 } from './api.ts';

/** A package of one file whose part has arrived. */
export async function plannedFile(api: Api, bytes: string) {
  const id = await api.create();
  const object = { digest: sha256(bytes), size: bytes.length };
  await api.post(`/v1/packages/${id}/files`, { files: [{ path: 'f', ...object }] });
  const [upload] = (await api.post(`/v1/packages/${id}/uploads`, { objects: [object] })).body.uploads;
  await api.send(upload.parts[0], Buffer.from(bytes));
  return { id, upload };
}
