import { PassThrough, Readable } from 'node:stream';
import test from 'ava';
import type { BlobStore, ObjectRef } from '../../src/blobs/blob-store.ts';
import { measuredReceiver, measuredStore } from '../../src/blobs/measured-store.ts';
import type { CallMeter, StorageOperation } from '../../src/core/call-meter.ts';
import { StoreError } from '../../src/core/errors.ts';
import { errno } from '../support/recording-file-layer.ts';

/** What a meter was told, in its order. */
function noted(): { meter: CallMeter<StorageOperation>; told: string[] } {
  const told: string[] = [];
  return {
    told,
    meter: {
      began(operation) {
        told.push(`${operation} began`);
        return (thrown) => void told.push(`${operation} ${thrown === undefined ? 'answered' : 'failed'}`);
      },
      brokeOff: (operation) => void told.push(`${operation} broke off`),
    },
  };
}

const REF = { key: 'k', versionId: null } as unknown as ObjectRef;

function storeWith(objects: object): BlobStore {
  return { kind: 'folder', uploads: {}, objects } as unknown as BlobStore;
}

test('an object is timed until it can be read, and its stream counts once more when storage breaks it off', async (t) => {
  const { meter, told } = noted();
  const streams = [new PassThrough(), new PassThrough()] as const;
  const left = [...streams];
  const { objects } = measuredStore(storeWith({ open: async () => left.shift() }), meter);
  const [first, second] = [await objects.open(REF), await objects.open(REF)];
  t.deepEqual(told, ['open began', 'open answered', 'open began', 'open answered']);
  first.destroy(errno('ECONNRESET'));
  await t.throwsAsync(Readable.from(first).toArray(), { code: 'ECONNRESET' });
  t.is(told.at(-1), 'open broke off');
  second.destroy(new StoreError('digest_mismatch', 'Whoever reads it wants no more.'));
  await t.throwsAsync(Readable.from(second).toArray(), { code: 'digest_mismatch' });
  t.is(told.length, 5);
});

test('a list is timed until its first entry, whether there is one or not', async (t) => {
  const { meter, told } = noted();
  const entries = [['a', 'b'], []];
  const list = async function* () {
    yield* entries.shift() ?? [];
    if (entries.length === 0) throw errno('EIO');
  };
  const { objects } = measuredStore(storeWith({ list }), meter);
  for await (const _ of objects.list('')) t.deepEqual(told, ['list began', 'list answered']);
  await t.throwsAsync(Readable.from(objects.list('')).toArray(), { code: 'EIO' });
  t.deepEqual(told.slice(2), ['list began', 'list failed']);
});

test('what takes a body is timed since its last byte; what is refused before, since its first', async (t) => {
  const { meter, told } = noted();
  const receive = async (body: AsyncIterable<Uint8Array>, most: number) => {
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      told.push(`${size} bytes`);
      if (size > most) throw new StoreError('body_length_mismatch', 'Too long.');
    }
    return {} as never;
  };
  const body = async function* () {
    yield Buffer.alloc(1);
    yield Buffer.alloc(1);
  };
  const receiver = measuredReceiver({ receivePart: (_id, part, bytes) => receive(bytes, part.size) }, meter);
  await receiver.receivePart('upl_1' as never, { size: 2 } as never, body());
  const began = 'receive_part began';
  t.deepEqual(told.splice(0), [began, '1 bytes', '2 bytes', began, 'receive_part answered']);
  const stream = Readable.from([Buffer.alloc(2), Buffer.alloc(1)]);
  await t.throwsAsync(receiver.receivePart('upl_1' as never, { size: 1 } as never, stream));
  t.deepEqual(told, [began, '2 bytes', 'receive_part failed']);
  t.false(stream.destroyed, 'who sends it is still to be answered');
});
