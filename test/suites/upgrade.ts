import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { ExecutionContext, TestFn } from 'ava';
import type { Knex } from 'knex';
import { MIGRATIONS } from '../../migrations/index.ts';
import { digestOf, digestToBytes } from '../../src/core/digest.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';
import { type LogicalPath, pathKey } from '../../src/core/logical-path.ts';
import { migrate } from '../../src/registry/migrate.ts';
import { openRegistry, type Registry } from '../../src/registry/registry.ts';

export interface UpgradeSuite {
  name: string;
  /** An empty database, connected to twice, and where it is: a file or a URL. */
  connect(t: ExecutionContext): Promise<[Knex, Knex, string]>;
}

type Row = Record<string, unknown>;

/** A registry as version 0.1.0 left it is mended when it is opened by this one. */
export function upgradeSuite(test: TestFn, { name, connect }: UpgradeSuite): void {
  /** What 0.1.0 wrote, then opened. @param had how many migrations were there */
  async function upgraded(
    t: ExecutionContext,
    write: (made: Made) => Promise<void>,
    had = 1,
  ): Promise<{ registry: Registry; db: Knex }> {
    const [db, again] = await connect(t);
    await migrate(db, MIGRATIONS.slice(0, had));
    await db('retention_classes').insert({ name: 'raw-evidence', days: 90, retired: false });
    await write(makerOf(db));
    const registry = await openRegistry(again);
    t.teardown(() => Promise.all([registry.close(), db.destroy()]));
    t.deepEqual(
      registry.schema.applied,
      MIGRATIONS.slice(had).map((migration) => migration.name),
    );
    return { registry, db };
  }

  test(`${name}: an open revision of 0.1.0 gives the external id back to the finalized package`, async (t) => {
    const [a, b, c] = ids();
    const { registry } = await upgraded(t, async ({ pkg }) => {
      await pkg(a, { external_id: 'x', status: 'finalized', superseded_by: b });
      await pkg(b, { external_id: 'x', status: 'uploading', supersedes: a });
      // And one whose revision was finalized.
      await pkg(c, { external_id: 'y', status: 'finalized' });
    });
    const { packages } = registry.read;
    t.is((await packages.findCurrent('p', 'x'))?.id, a);
    t.is((await packages.findOpen('p', 'x'))?.id, b);
    t.like(await packages.get(a), { superseded_by: null, files_version: 0 });
    t.is((await packages.findCurrent('p', 'y'))?.id, c);
  });

  test(`${name}: a chain with an open package amid it points at what is finalized`, async (t) => {
    const [a, b, c] = ids();
    const { registry } = await upgraded(t, async ({ pkg }) => {
      await pkg(a, { external_id: 'x', status: 'finalized', superseded_by: b });
      await pkg(b, { external_id: 'x', status: 'uploading', supersedes: a, superseded_by: c });
      await pkg(c, { external_id: 'x', status: 'finalized', supersedes: b });
    });
    t.is((await registry.read.packages.get(a))?.superseded_by, c);
    t.is((await registry.read.packages.findCurrent('p', 'x'))?.id, c);
  });

  test(`${name}: a tombstone of a finalized revision stays what supersedes`, async (t) => {
    const [a, b, c] = ids();
    const { registry } = await upgraded(t, async ({ pkg }) => {
      await pkg(a, { external_id: 'x', status: 'finalized', superseded_by: b });
      await pkg(b, { external_id: 'x', status: 'deleted', finalized_at: 2, supersedes: a, superseded_by: c });
      await pkg(c, { external_id: 'x', status: 'finalized', supersedes: b });
    });
    t.is((await registry.read.packages.get(a))?.superseded_by, b);
  });

  test(`${name}: of open packages that share an external id, or what they revise, one goes on`, async (t) => {
    const [a, b, c, d, e, f] = ids();
    const { registry, db } = await upgraded(t, async ({ pkg }) => {
      await pkg(a, { external_id: 'x', status: 'uploading', superseded_by: b });
      await pkg(b, { external_id: 'x', status: 'created', supersedes: a });
      await pkg(c, { status: 'finalized', superseded_by: e });
      await pkg(d, { status: 'uploading', supersedes: c, sealed_at: 5 });
      await pkg(e, { status: 'uploading', supersedes: c });
      await pkg(f, { external_id: 'x', status: 'created', producer: 'another' });
    });
    const statusOf = async (id: PackageId) => (await registry.read.packages.get(id))?.status;
    t.deepEqual(await Promise.all([a, b, c, d, e, f].map(statusOf)), [
      'failed',
      'created',
      'finalized',
      'uploading',
      'failed',
      'created',
    ]);
    t.is((await registry.read.packages.get(c))?.superseded_by, null);
    const events: Row[] = await db('audit_events').orderBy('package_id');
    t.deepEqual(
      events.map(({ action, actor, package_id }) => [action, actor, package_id]),
      [a, e].map((id) => ['package.failed', 'artifact-store', id]),
    );
    t.truthy(events[0]?.reason);
    const second = { ...rowOf(newId('pkg', 9) as PackageId), external_id: 'x', status: 'created' };
    await t.throwsAsync(async () => db('packages').insert(second), { message: /unique/i });
  });

  test(`${name}: keys that 0.1.0 could not free are marked for the sweep, and what stands is live`, async (t) => {
    const [a] = ids();
    const uploads = ['unclean', 'clean', 'never named', 'committed'].map((what) => ({
      id: `upl ${what}`,
      package_id: a,
      channel: 'direct',
      kind: 'blob',
      digest: digestToBytes(digestOf(what)),
      size: 1,
      state: what === 'committed' ? 'committed' : 'failed',
      key: what,
      storage_upload_id: what === 'never named' ? null : 'theirs',
      completed_at: what === 'clean' || what === 'committed' ? 3 : null,
      drop_key: false,
      created_by: 'tests',
      created_at: 1,
      expires_at: 2,
    }));
    const { registry } = await upgraded(t, async ({ pkg, insert }) => {
      await pkg(a, { status: 'uploading' });
      for (const upload of uploads) await insert('uploads', upload);
      const object = {
        id: 'obj',
        kind: 'blob',
        key: 'k',
        digest: digestToBytes(digestOf('x')),
        size: 1,
        created_at: 1,
      };
      await insert('objects', object);
    });
    const marked = await registry.read.uploads.listDroppingLater(null, 10);
    t.deepEqual(
      marked.map(({ key, drop_key }) => [key, drop_key]),
      [['unclean', true]],
    );
    t.deepEqual(await registry.read.uploads.listDropping(10), [], 'recovery has nothing to do with them');
    t.is((await registry.read.blobs.getObject('obj'))?.state, 'live');
  });

  test(`${name}: files, blobs and where their bytes are stay what they were under keys of text`, async (t) => {
    const [a, b] = ids();
    const NFD = 'e\u0301/x';
    const object = (id: string, state: string) => ({
      ...{ id, kind: 'pack', key: id, version_id: `of ${id}`, digest: bytesOf(id), size: 4_000, created_at: 1 },
      ...{ state, encoding: 'zstd-seekable', stored_size: 70, stored_digest: bytesOf(`stored ${id}`) },
    });
    const file = (package_id: PackageId, path: string, text: string, rest: Row = {}) => ({
      ...{ package_id, path, path_key: pathKey(path as LogicalPath), digest: bytesOf(text), size: text.length },
      ...{ media_type: 'application/octet-stream', mtime: null, executable: false, proven: true, ...rest },
    });
    const at = (text: string, object_id: string, offset: number) => ({
      ...{ digest: bytesOf(text), object_id, offset, size: text.length },
    });
    const held = ['held twice', 'held once', 'of no file'];
    const { registry } = await upgraded(
      t,
      async ({ pkg, insert }) => {
        await pkg(b, { status: 'uploading' });
        await pkg(a, { status: 'finalized' });
        for (const text of [...held, 'lost'])
          await insert('blobs', { digest: bytesOf(text), size: text.length, created_at: 1 });
        for (const each of [object('obj_2', 'live'), object('obj_1', 'live'), object('obj_3', 'lost')])
          await insert('objects', each);
        await insert('object_frames', { object_id: 'obj_2', frames: Buffer.from('frames') });
        await insert('blob_locations', at('held twice', 'obj_2', 20));
        await insert('blob_locations', at('held twice', 'obj_1', 10));
        await insert('blob_locations', at('held once', 'obj_2', 30));
        await insert('blob_locations', at('of no file', 'obj_2', 40));
        await insert('blob_locations', at('lost', 'obj_3', 50));
        await insert('lost_blobs', { digest: bytesOf('lost') });
        await insert('package_files', file(b, 'a', 'held twice', { proven: false }));
        await insert('package_files', file(b, 'b', 'not sent', { proven: false, size: 5 }));
        await insert('package_files', file(b, 'c', 'held once', { proven: false }));
        await insert('package_files', file(b, 'd', 'held once'));
        const facts = { media_type: 'text/plain', mtime: '2026-01-01T00:00:00.5Z', executable: true };
        await insert('package_files', file(a, NFD, 'held twice', facts));
        await insert('package_files', file(a, 'once', 'held once'));
        await insert('package_files', file(a, 'gone', 'lost'));
        await insert('package_files', file(a, 'empty', ''));
      },
      3,
    );
    const { files, blobs, packages } = registry.read;
    const usual = {
      media_type: 'application/octet-stream',
      mtime: null,
      executable: false,
      lost: false,
      deleted_at: null,
    };
    const whole = (path: string, text: string, rest: Row = {}) => ({
      ...{ path, digest: digestOf(text), size: text.length, ...usual, proven: true, ...rest },
    });
    t.deepEqual(
      (await files.page(a, null, 9)) as unknown[],
      [
        whole(NFD, 'held twice', { media_type: 'text/plain', mtime: '2026-01-01T00:00:00.5Z', executable: true }),
        whole('empty', ''),
        whole('gone', 'lost', { lost: true }),
        whole('once', 'held once'),
      ].toSorted((one, two) => Buffer.compare(Buffer.from(one.path), Buffer.from(two.path))),
    );
    t.deepEqual(
      (await files.page(b, null, 9)).map(({ path, size, proven }) => [path, size, proven]) as unknown[],
      // Its bytes are proven in this package: they need not be sent for another of its files.
      [
        ['a', 10, false],
        ['b', 5, false],
        ['c', 9, true],
        ['d', 9, true],
      ],
    );
    t.deepEqual((await files.missing(b, 9)).map(String), ['a', 'b']);
    t.deepEqual((await files.missing(a, 9)).map(String), ['gone']);
    t.is((await files.findConflict(a, ['\u00e9/x' as LogicalPath]))?.kind, 'same_after_nfc');
    t.is((await files.findConflict(a, ['\u00e9' as LogicalPath]))?.kind, 'folder_of_other');
    const located = await files.locate(a, [NFD, 'once', 'gone'] as LogicalPath[]);
    t.deepEqual(located.map(({ path, object_id, offset }) => [path, object_id, offset]) as unknown[], [
      [NFD, 'obj_1', 10],
      ['once', 'obj_2', 30],
      ['gone', 'obj_3', 50],
    ]);
    t.like(await blobs.locate(digestOf('of no file')), { object_id: 'obj_2', offset: 40, state: 'live' });
    t.is((await blobs.locate(digestOf('held twice')))?.key, 'obj_1');
    t.is(await blobs.locate(digestOf('not sent')), null);
    t.deepEqual(await blobs.getObject('obj_2'), {
      ...object('obj_2', 'live'),
      ...{ digest: digestOf('obj_2'), stored_digest: digestOf('stored obj_2') },
    } as never);
    t.deepEqual((await blobs.frames(['obj_1', 'obj_2'])).get('obj_2'), Buffer.from('frames'));
    const mine = { producers: ['p'] };
    const asked = [...held, 'lost', 'not sent'].map((text) => ({ digest: digestOf(text), size: text.length }));
    t.deepEqual(
      [...(await files.provableBy(mine, a, asked)).keys()].toSorted(),
      [digestOf('held twice'), digestOf('held once')].toSorted(),
    );
    t.deepEqual([...(await blobs.whollyReadable(mine, a, ['obj_1', 'obj_2']))], ['obj_1']);
    // What holds a blob next to its first object takes over when that is lost.
    t.deepEqual(await registry.transaction((tables) => tables.blobs.markLost(['obj_1'], 1)), ['obj_1']);
    t.like(await blobs.locate(digestOf('held twice')), { object_id: 'obj_2', offset: 20, state: 'live' });
    // And it goes on: new rows have numbers of their own.
    await registry.transaction(async (tables) => {
      await tables.files.put(b, [{ ...whole('e', 'new', { proven: false }) } as never]);
      t.is(await tables.files.prove(b, [{ digest: digestOf('held twice'), size: 10 }]), 1);
    });
    t.deepEqual((await files.missing(b, 9)).map(String), ['b', 'e']);
    t.is((await packages.list({}, mine, 9)).length, 2);
  });

  test(`${name}: killed while the tables of files are replaced, it is as it was, and can be upgraded again`, async (t) => {
    const [db, again, place] = await connect(t);
    await migrate(db, MIGRATIONS.slice(0, 3));
    await db('retention_classes').insert({ name: 'raw-evidence', days: 90, retired: false });
    const { pkg, insert } = makerOf(db);
    const [id] = ids();
    await pkg(id, { status: 'uploading' });
    const bytes = { path: 'a', path_key: 'a', digest: bytesOf('a'), size: 1, media_type: 'a/b', executable: false };
    await insert('package_files', { package_id: id, ...bytes, proven: false });
    const before = await db('package_files');
    const script = new URL('../support/migrate-process.ts', import.meta.url);
    const [, signal] = await once(fork(script, [place, '^drop table old_blobs'], { stdio: 'ignore' }), 'exit');
    t.is(signal, 'SIGKILL');
    t.deepEqual(await db('package_files'), before);
    await db.destroy();
    const registry = await openRegistry(again);
    t.teardown(() => registry.close());
    t.deepEqual((await registry.read.files.missing(id, 9)).map(String), ['a']);
  });
}

interface Made {
  pkg(id: PackageId, fields: Row): Promise<void>;
  insert(table: string, row: Row): Promise<void>;
}

function makerOf(db: Knex): Made {
  const insert = async (table: string, row: Row): Promise<void> => {
    await db(table).insert(row);
  };
  return {
    insert,
    async pkg(id, fields) {
      const finalized_at = fields.status === 'finalized' ? 2 : null;
      await insert('packages', { ...rowOf(id), finalized_at, ...fields });
    },
  };
}

function rowOf(id: PackageId): Row {
  return {
    id,
    name: 'n',
    producer: 'p',
    status: 'created',
    metadata: '{}',
    retention_class: 'raw-evidence',
    created_by: 'tests',
    created_at: 1,
  };
}

function ids(): [PackageId, PackageId, PackageId, PackageId, PackageId, PackageId] {
  return [1, 2, 3, 4, 5, 6].map((time) => newId('pkg', time)) as never;
}

function bytesOf(text: string): Buffer {
  return digestToBytes(digestOf(text)) as Buffer;
}
