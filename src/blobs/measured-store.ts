import { Readable } from 'node:stream';
import { type CallMeter, metered, type StorageOperation } from '../core/call-meter.ts';
import type { BlobStore } from './blob-store.ts';
import { hasErrno } from './file-layer.ts';
import type { PartReceiver } from './part-receiver.ts';

type Meter = CallMeter<StorageOperation>;

/**
 * The same store, timed until it answers: of what is read, until its first byte or entry can be; of what takes a body, since the body's
 * last byte, for those before it come as slowly as their sender likes.
 */
export function measuredStore(store: BlobStore, meter: Meter): BlobStore {
  const timed =
    <Args extends unknown[], Result>(operation: StorageOperation, work: (...args: Args) => Promise<Result>) =>
    (...args: Args): Promise<Result> =>
      metered(meter, operation, () => work(...args));
  const { uploads, objects, locks } = store;
  return {
    ...store,
    uploads: {
      ...uploads,
      create: timed('create', uploads.create),
      deliverPart: timed('deliver_part', uploads.deliverPart),
      streamPart: (upload, part, body) =>
        sinceLastByte(meter, 'stream_part', body, (bytes) => uploads.streamPart(upload, part, bytes)),
      listParts: timed('list_parts', uploads.listParts),
      complete: timed('complete', uploads.complete),
      settle: timed('settle', uploads.settle),
      abort: timed('abort', uploads.abort),
      listBegun: () => untilFirst(meter, 'list_begun', uploads.listBegun()),
      drop: timed('drop', uploads.drop),
    },
    objects: {
      ...objects,
      async open(ref, range) {
        const stream = await metered(meter, 'open', () => objects.open(ref, range));
        // Whoever reads may end it with an error of its own: of wrong bytes, of a client that left.
        return stream.once('error', (error) => hasErrno(error) && meter.brokeOff('open'));
      },
      stat: timed('stat', objects.stat),
      list: (prefix) => untilFirst(meter, 'list', objects.list(prefix)),
      write: (key, body) => sinceLastByte(meter, 'write', body, (bytes) => objects.write(key, bytes)),
      remove: timed('remove', objects.remove),
      removeMany: timed('remove_many', objects.removeMany),
    },
    locks: locks && {
      ...locks,
      retain: timed('retain', locks.retain),
      hold: timed('hold', locks.hold),
      read: timed('read_lock', locks.read),
    },
  };
}

/** The same of parts that clients send to the service. */
export function measuredReceiver(receiver: PartReceiver, meter: Meter): PartReceiver {
  return {
    receivePart: (uploadId, part, body) =>
      sinceLastByte(meter, 'receive_part', body, (bytes) => receiver.receivePart(uploadId, part, bytes)),
  };
}

async function sinceLastByte<Result>(
  meter: Meter,
  operation: StorageOperation,
  body: AsyncIterable<Uint8Array>,
  work: (body: AsyncIterable<Uint8Array>) => Promise<Result>,
): Promise<Result> {
  let ended = meter.began(operation);
  async function* bytes(): AsyncGenerator<Uint8Array> {
    // Who asks for less than all of it does not end a request that is to be answered.
    yield* body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : body;
    ended = meter.began(operation);
  }
  try {
    const result = await work(bytes());
    ended();
    return result;
  } catch (thrown) {
    ended(thrown);
    throw thrown;
  }
}

async function* untilFirst<Item>(
  meter: Meter,
  operation: StorageOperation,
  items: AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const ended = meter.began(operation);
  let answered = false;
  try {
    for await (const item of items) {
      if (!answered) ended();
      answered = true;
      yield item;
    }
    if (!answered) ended();
  } catch (thrown) {
    if (answered) meter.brokeOff(operation);
    else ended(thrown);
    throw thrown;
  }
}
