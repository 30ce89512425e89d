import type { ByteRange } from '../blobs/blob-store.ts';
import type { ObjectKey } from '../blobs/key-layout.ts';
import { FrameTable } from '../core/frame-table.ts';
import { openContent } from './open-stored.ts';
import type { Services, WithReader } from './services.ts';

/** A stretch of an object's content. */
export interface Stretch extends ByteRange {
  objectId: string;
}

/** Null: it could not be read, for whatever reason. That is reported by whoever reads a file of it. */
export type ReadStretch = (stretch: Stretch) => Promise<Buffer | null>;

/** Reads stretches of some objects into memory, as storage has them: nothing of it is checked, but frames. */
export async function stretchReader(
  services: Services<WithReader>,
  objectIds: readonly string[],
): Promise<ReadStretch> {
  const { blobs } = services.registry.read;
  const objects = await blobs.getObjects(objectIds);
  const inFrames = objectIds.filter((id) => (objects.get(id)?.encoding ?? 'identity') !== 'identity');
  const encoded = inFrames.length === 0 ? new Map<string, Buffer>() : await blobs.frames(inFrames);
  const tables = new Map([...encoded].map(([id, frames]) => [id, FrameTable.decode(frames)]));
  return async ({ objectId, offset, size }) => {
    const object = objects.get(objectId);
    const frames = tables.get(objectId) ?? null;
    if (!object || (frames === null && object.encoding !== 'identity')) return null;
    const ref = { key: object.key as ObjectKey, versionId: object.version_id };
    const bytes = Buffer.allocUnsafeSlow(size);
    let at = 0;
    try {
      const stream = await openContent(services, ref, { frames, range: { offset, size }, label: objectId });
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (at + chunk.length > size) return null;
        bytes.set(chunk, at);
        at += chunk.length;
      }
    } catch {
      return null;
    }
    return at === size ? bytes : null;
  };
}
