import { rm } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { blobKey, type ObjectKey, STORE_KEY } from '../../../src/blobs/key-layout.ts';
import { digestOf } from '../../../src/core/digest.ts';
import { newId, type UploadId } from '../../../src/core/ids.ts';
import { DEFAULT_RETENTION_CLASSES } from '../../../src/core/retention.ts';
import type { StoreId } from '../../../src/core/store-identity.ts';
import { storeBytes } from '../../../src/core/store-identity.ts';
import { connectSqlite } from '../../../src/registry/connect-sqlite.ts';
import { openRegistry } from '../../../src/registry/registry.ts';
import { identifyStore, StoreRefusedError } from '../../../src/usecases/identify-store.ts';
import { apiOf } from '../../support/api.ts';
import { addPackage } from '../../support/package-row.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

const PLACES = { registry: 'the registry of A', store: 'the store of B' };

/** A registry and a store that do not belong together are not worked on. */
export function storeIdentitySuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  test.serial('registry and store have one id, which a restart keeps', async (t) => {
    const service = await startTestService();
    const { dataDir } = service;
    t.teardown(() => rm(dataDir, { recursive: true, force: true }));
    const { store_id } = (await apiOf(service.url).get('/readyz')).body;
    t.regex(store_id, /^sto_[0-9a-f]{32}$/);
    t.is(await markOf(service), storeBytes(store_id).toString());
    await service.stop();
    const again = await startTestService({ dataDir });
    t.teardown(() => again.dispose());
    t.is((await apiOf(again.url).get('/readyz')).body.store_id, store_id);
  });

  test.serial('a registry beside the store of another is refused, and nothing is changed', async (t) => {
    const other = await startTestService();
    t.teardown(() => other.dispose());
    await t.context.api.preserve({ a: 'ours' });
    await apiOf(other.url).preserve({ a: 'theirs' });
    const before = await keysOf(other);
    const error = await refusedOf(t.context.service, other);
    t.is(error?.code, 'foreign_store');
    t.regex(error?.message ?? '', /the store of B.*does not belong to the registry \(the registry of A\)/);
    t.deepEqual(await keysOf(other), before);

    await other.services.blobs.objects.remove({ key: STORE_KEY, versionId: null });
    t.is((await refusedOf(t.context.service, other))?.code, 'foreign_store', 'without a mark, too');
    t.is(await markOf(other), null);
  });

  test.serial('a registry beside an empty store is refused', async (t) => {
    const { service, api } = t.context;
    await api.preserve({ a: 'ours' });
    const empty = await startTestService();
    t.teardown(() => empty.dispose());
    const { objects } = empty.services.blobs;
    await objects.remove({ key: STORE_KEY, versionId: null });
    t.is((await refusedOf(service, empty))?.code, 'empty_store');
    await objects.write(STORE_KEY, bytesOf(storeBytes(service.services.storeId() as StoreId)));
    t.is((await refusedOf(service, empty))?.code, 'empty_store', 'all is gone but the mark');
  });

  test.serial(
    'an empty registry beside a store that has packages is refused; beside an empty one it takes its id',
    async (t) => {
      const { service, api } = t.context;
      await api.preserve({ a: 'ours' });
      const registry = await openRegistry(connectSqlite(':memory:'));
      t.teardown(() => registry.close());
      const { blobs } = service.services;
      const refused = {
        instanceOf: StoreRefusedError,
        code: 'registry_lost',
        message: /Restore the registry from a backup/,
      };
      await t.throwsAsync(identifyStore({ registry, blobs }, PLACES), refused);
      t.is(await registry.read.stores.getId(), null);

      const empty = await startTestService();
      t.teardown(() => empty.dispose());
      const taken = await identifyStore({ registry, blobs: empty.services.blobs }, PLACES);
      t.true(taken === empty.services.storeId());
    },
  );

  test.serial(
    'a mark that was lost is written again when the objects are there; one that nobody knows is left',
    async (t) => {
      const { service, api } = t.context;
      await api.preserve({ a: 'ours' });
      const { objects } = service.services.blobs;
      const mark = await markOf(service);
      await objects.remove({ key: STORE_KEY, versionId: null });
      await identifyStore(service.services, PLACES);
      t.is(await markOf(service), mark);

      await objects.remove({ key: STORE_KEY, versionId: null });
      await objects.write(STORE_KEY, bytesOf(Buffer.from('{"id":"theirs"}')));
      t.is((await refusedOf(service, service))?.code, 'foreign_store');
      t.is(await markOf(service), '{"id":"theirs"}');
      await objects.remove({ key: STORE_KEY, versionId: null });
      await identifyStore(service.services, PLACES);
    },
  );

  test.serial('of two registries that begin one store at the same moment at most one has it', async (t) => {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    const { blobs } = service.services;
    const { objects } = blobs;
    await objects.remove({ key: STORE_KEY, versionId: null });
    const registry = await openRegistry(connectSqlite(':memory:'));
    t.teardown(() => registry.close());
    // As a server does that knows no If-None-Match, when both have looked before either wrote.
    const mark = storeBytes(service.services.storeId() as StoreId);
    const careless = {
      ...objects,
      async write(...args: Parameters<typeof objects.write>) {
        const written = await objects.write(...args);
        await objects.remove({ key: STORE_KEY, versionId: null });
        await objects.write(STORE_KEY, bytesOf(mark));
        return written;
      },
    };
    const attempt = identifyStore({ registry, blobs: { ...blobs, objects: careless } }, PLACES);
    await t.throwsAsync(attempt, { instanceOf: StoreRefusedError, code: 'foreign_store' });
    t.is(await markOf(service), mark.toString());
  });

  test.serial('what the first pushes left before there were ids tells whose the store is', async (t) => {
    const other = await startTestService();
    t.teardown(() => other.dispose());
    const { objects } = other.services.blobs;
    await objects.remove({ key: STORE_KEY, versionId: null });
    const registry = await openRegistry(connectSqlite(':memory:'));
    t.teardown(() => registry.close());
    await registry.transaction((tables) => tables.retention.syncClasses(DEFAULT_RETENTION_CLASSES));
    const packageId = await addPackage(registry);
    const digest = digestOf('left');
    const id = newId('upl', 1) as UploadId;
    const key = blobKey(digest, id);
    await objects.write(key, bytesOf(Buffer.from('left')));
    const attempt = () => identifyStore({ registry, blobs: other.services.blobs }, PLACES);
    await t.throwsAsync(attempt, { instanceOf: StoreRefusedError, code: 'foreign_store' });
    await registry.transaction(({ uploads }) =>
      uploads.insert([
        {
          id,
          package_id: packageId,
          channel: 'direct',
          digest,
          size: 4,
          key,
          created_by: 'tests',
          created_at: 1,
          expires_at: 2,
          parts: [{ number: 1, digest, offset: 0, size: 4 }],
          members: null,
          stored: null,
        },
      ]),
    );
    t.is(await markOf(other), null);
    t.is(storeBytes(await attempt()).toString(), (await markOf(other)) as string);
  });

  test.serial(
    'objects of a push that was killed before anything was recorded do not keep a service from starting',
    async (t) => {
      const other = await startTestService();
      t.teardown(() => other.dispose());
      const hex = 'ab'.repeat(32);
      const key = `objects/sha256/ab/ab/${hex}.upl_${'0'.repeat(32)}` as ObjectKey;
      await other.services.blobs.objects.write(key, bytesOf(Buffer.from('left')));
      const id = await identifyStore(other.services, PLACES);
      t.true(id === other.services.storeId());
    },
  );
}

async function refusedOf(registryOf: TestService, storeOf: TestService): Promise<StoreRefusedError | null> {
  const { registry } = registryOf.services;
  return identifyStore({ registry, blobs: storeOf.services.blobs }, PLACES).then(
    () => null,
    (error: unknown) => {
      if (error instanceof StoreRefusedError) return error;
      throw error;
    },
  );
}

async function markOf({ services }: TestService): Promise<string | null> {
  const ref = { key: STORE_KEY, versionId: null };
  const { objects } = services.blobs;
  return (await objects.stat(ref)) === null ? null : text(await objects.open(ref));
}

async function keysOf({ services }: TestService): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of services.blobs.objects.list('')) keys.push(key);
  return keys;
}

async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
