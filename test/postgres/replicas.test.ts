import test from 'ava';
import type { Knex } from 'knex';
import type { BlobStore } from '../../src/blobs/blob-store.ts';
import type { PackageId, UploadId, WebhookId } from '../../src/core/ids.ts';
import type { LogicalPath } from '../../src/core/logical-path.ts';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import type { FileRecord } from '../../src/registry/files.ts';
import { openRegistry, type Tables } from '../../src/registry/registry.ts';
import { createToken, revokeToken } from '../../src/usecases/api-tokens.ts';
import { claimForCompletion } from '../../src/usecases/complete-upload.ts';
import { deliverWebhook } from '../../src/usecases/deliver-webhook.ts';
import { recordChange } from '../../src/usecases/record-change.ts';
import { recover } from '../../src/usecases/recover.ts';
import { type Services, SYSTEM } from '../../src/usecases/services.ts';
import { type Answer, type Api, apiOf, sha256 } from '../support/api.ts';
import { POSTGRES } from '../support/postgres.ts';
import { startReceiver } from '../support/receiver.ts';
import { required } from '../support/required.ts';
import { startTestService, type TestService } from '../support/service.ts';

const DAY = 86_400_000;

interface Replicas {
  service: TestService;
  other: Services<BlobStore>;
  api: Api;
  /** Of the second one. */
  db: Knex;
}

const postgres = await required('What two replicas do at once on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());

  /** A service, and a second one's registry, instance and memory beside it, on its database and its blob store. */
  async function replicas(t: { teardown(work: () => Promise<void>): void }): Promise<Replicas> {
    const url = await (postgres as NonNullable<typeof postgres>).createDatabase();
    const env = { ARTIFACT_STORE_DATABASE_URL: url, ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.1' };
    const service = await startTestService({ env, webhooks: { look: null } });
    t.teardown(() => service.dispose());
    const db = connectPostgres(url);
    const registry = await openRegistry(db);
    t.teardown(() => registry.close());
    const other = { ...service.services, registry, instance: 'other', running: new Map() };
    return { service, other, api: apiOf(service.url), db };
  }

  test('a token that the other replica makes closes this one, and one that it revokes opens nothing here', async (t) => {
    const { service, other, api } = await replicas(t);
    t.is((await api.get('/v1/packages')).status, 200, 'there is no token');
    const { record, token } = await createToken(other, SYSTEM, { name: 'n', scopes: ['packages:read'] });
    t.is((await api.get('/v1/packages')).status, 401);
    const reader = apiOf(service.url, token);
    t.is((await reader.get('/v1/packages')).status, 200);
    await revokeToken(other, SYSTEM, record.id, null);
    t.is((await reader.get('/v1/packages')).status, 401);
  });

  test('of two replicas that would send an event, one does; both send what comes', async (t) => {
    const { service, other, api } = await replicas(t);
    const receiver = await startReceiver();
    t.teardown(() => receiver.close());
    const id = (await api.post('/v1/webhooks', { url: receiver.url, types: ['package.*'] })).body.id as WebhookId;
    const { signal } = new AbortController();
    const pushes = Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => api.preserve({ f: name }, { name })));
    let pushed = false;
    pushes.then(() => {
      pushed = true;
    });
    const send = async (services: Services<BlobStore>): Promise<void> => {
      while (!pushed) await deliverWebhook(services, id, signal);
    };
    await Promise.all([send(service.services), send(other), pushes]);
    await deliverWebhook(other, id, signal);
    const sent = receiver.received.map(({ json }) => json.id as string);
    t.is(new Set(sent).size, sent.length, 'each once');
    for (const pkg of await pushes) {
      const audit = (await api.get(`/v1/audit?package_id=${pkg}`)).body.items as Array<{ id: string; action: string }>;
      t.deepEqual(
        receiver.received.filter(({ json }) => json.subject === pkg).map(({ json }) => json.id),
        audit.filter(({ action }) => action.startsWith('package.')).map((event) => event.id),
      );
    }
  });

  test('whoever may not read a package waits for nobody who has locked it', async (t) => {
    const { service, other, api } = await replicas(t);
    const id = await api.create({ producer: 'alice' });
    const { token } = await createToken(other, SYSTEM, {
      name: 'n',
      scopes: ['packages:write', 'packages:delete', 'retention:write'],
      producers: ['mallory'],
    });
    const mallory = apiOf(service.url, token);
    await other.registry.transaction(async (tables) => {
      await tables.packages.lock(id as PackageId);
      // Were it to wait, this transaction would never end.
      for (const answer of [
        await mallory.post(`/v1/packages/${id}/finalize`),
        await mallory.post(`/v1/packages/${id}/holds`, { reason: 'r' }),
        await mallory.call('DELETE', `/v1/packages/${id}?reason=r`),
        await mallory.post('/v1/packages', { name: 'n', producer: 'mallory', supersedes: id }),
      ]) {
        t.is(answer.body.code, 'package_not_found');
      }
    });
  });

  test('an expired upload that is being aborted is not claimed', async (t) => {
    const { service, other, api, db } = await replicas(t);
    const [id] = await planned(api, await api.create(), ['raced']);
    service.sleepDays(8);
    let claim: Promise<boolean> | undefined;
    await other.registry.transaction(async (tables) => {
      t.true(await tables.uploads.move(id as UploadId, 'open', 'aborting'));
      claim = claimForCompletion(service.services, SYSTEM, id as UploadId);
      // It has read the upload as open, and waits for this transaction.
      while (!(await someoneWaits(db)));
    });
    t.false(await claim);
    t.is((await other.registry.read.uploads.get(id as UploadId))?.state, 'aborting');
  });

  test('two that recover at once end every upload and every package once', async (t) => {
    const { service, other, api } = await replicas(t);
    const { registry } = other;
    const expired = await planned(
      api,
      await api.create(),
      Array.from({ length: 20 }, (_, n) => `expired ${n}`),
    );
    const sealed = await api.create();
    await api.store(sealed, { a: 'sealed' });
    await registry.transaction((tables) =>
      tables.packages.update(sealed as PackageId, { sealed_at: 1, sealed_by: 'tests', file_count: 1, total_size: 6 }),
    );
    service.sleepDays(8);
    const stalled = await planned(
      api,
      await api.create(),
      Array.from({ length: 20 }, (_, n) => `stalled ${n}`),
    );
    for (const id of stalled) {
      const dead = { owner: 'dead', lease_until: 1 };
      t.true(await registry.transaction(({ uploads }) => uploads.move(id, 'open', 'completing', dead)));
    }
    const shifted = { ...registry.read, now: async () => (await registry.read.now()) + 8 * DAY };
    const late: Services<BlobStore> = { ...other, registry: { ...registry, read: shifted } };
    await Promise.all([recover(service.services), recover(late), recover(service.services), recover(late)]);
    const statesOf = async (ids: UploadId[]) => [
      ...new Set((await registry.read.uploads.getMany(ids)).map((upload) => upload.state)),
    ];
    t.deepEqual(await statesOf(expired), ['aborted']);
    t.deepEqual(await statesOf(stalled), ['failed']);
    const { events } = await registry.read.audit.page({ action: 'upload.failed' }, { all: true }, 0, 100);
    t.deepEqual(events.map((event) => event.subject_id).toSorted(), stalled.toSorted());
    t.is((await registry.read.packages.get(sealed as PackageId))?.status, 'finalized');
    const finalized = { package_id: sealed, action: 'package.finalized' as const };
    t.is((await registry.read.audit.page(finalized, { all: true }, 0, 10)).events.length, 1);
  });

  test('a file registered while its bytes are recorded is proven by them', async (t) => {
    const { other, api, db } = await replicas(t);
    const id = (await api.create()) as PackageId;
    const [upload] = await planned(api, id, ['bytes']);
    const { parts } = (await api.post(`/v1/uploads/${upload}/urls`, { parts: [1] })).body;
    await api.send(parts[0], Buffer.from('bytes'));
    let commit: Promise<Answer> | undefined;
    await other.registry.transaction(async (tables) => {
      await tables.packages.lock(id);
      const [file] = await tables.files.page(id, null, 1);
      await tables.files.put(id, [{ ...(file as FileRecord), path: 'again' as LogicalPath }]);
      commit = api.post(`/v1/uploads/${upload}/commit`);
      await settledOrWaiting(commit, db);
    });
    t.is((await commit)?.status, 200);
    t.deepEqual(await other.registry.read.files.missing(id, 10), []);
  });

  test('an event that already has its number keeps later ones out of a list, and blocks no writer', async (t) => {
    const { service, other, api, db } = await replicas(t);
    const id = (await api.create()) as PackageId;
    const add = (tables: Tables, reason: string) =>
      recordChange(tables, SYSTEM, { at: 1, action: 'hold.placed', package_id: id, reason });
    const list = async () =>
      (await other.registry.read.audit.page({ action: 'hold.placed' }, { all: true }, 0, 10)).events;
    await other.registry.transaction(async (tables) => {
      await add(tables, 'first');
      await service.services.registry.transaction((later) => add(later, 'second'));
      const listing = list();
      const third = service.services.registry.transaction((later) => add(later, 'third'));
      t.is(await settledOrWaiting(third, db), 'settled');
      t.deepEqual(await listing, []);
    });
    t.deepEqual(
      (await list()).map((event) => event.reason),
      ['first', 'second', 'third'],
    );
  });

  test('a slow list of the audit blocks no writer', async (t) => {
    const { other, api, db } = await replicas(t);
    const id = (await api.create()) as PackageId;
    const reading = Promise.withResolvers<void>();
    const added = Promise.withResolvers<void>();
    // Of the client that only reads, too: both are of the one class that this database has.
    const client = Object.getPrototypeOf(db.client);
    const { query } = client;
    client.query = async function held(connection: unknown, statement: { sql: string }) {
      if (/^select .* from "audit_events"/.test(statement.sql)) {
        reading.resolve();
        await added.promise;
      }
      return query.call(this, connection, statement);
    };
    const listing = other.registry.read.audit.page({}, { all: true }, 0, 10).then(({ events }) => events);
    await reading.promise;
    const adding = api.post(`/v1/packages/${id}/holds`, { reason: 'while a list is read' });
    t.is(await settledOrWaiting(adding, db), 'settled');
    added.resolve();
    t.deepEqual(
      (await listing).map(({ action }) => action),
      ['package.created'],
    );
  });
}

/** Registers and plans an object for each content. @returns the uploads */
async function planned(api: Api, packageId: string, contents: string[]): Promise<UploadId[]> {
  const objects = contents.map((content) => ({ digest: sha256(content), size: content.length }));
  const files = objects.map((object, n) => ({ path: `f${n}`, ...object }));
  await api.post(`/v1/packages/${packageId}/files`, { files });
  const { uploads } = (await api.post(`/v1/packages/${packageId}/uploads`, { objects })).body;
  return uploads.map((upload: { upload_id: UploadId }) => upload.upload_id);
}

/** Until the work has ended, or cannot go on without another transaction. */
async function settledOrWaiting(work: Promise<unknown>, db: Knex): Promise<'settled' | 'waiting'> {
  let settled = false;
  const end = (): void => {
    settled = true;
  };
  work.then(end, end);
  while (!settled && !(await someoneWaits(db)));
  return settled ? 'settled' : 'waiting';
}

/** Whether a connection to this database waits for another's lock. */
async function someoneWaits(db: Knex): Promise<boolean> {
  const { rows } = await db.raw(
    `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rows.length > 0;
}
