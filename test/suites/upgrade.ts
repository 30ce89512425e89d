import type { ExecutionContext, TestFn } from 'ava';
import type { Knex } from 'knex';
import { MIGRATIONS } from '../../migrations/index.ts';
import { digestOf, digestToBytes } from '../../src/core/digest.ts';
import { newId, type PackageId } from '../../src/core/ids.ts';
import { migrate } from '../../src/registry/migrate.ts';
import { openRegistry, type Registry } from '../../src/registry/registry.ts';

export interface UpgradeSuite {
  name: string;
  /** An empty database, connected to twice. */
  connect(t: ExecutionContext): Promise<[Knex, Knex]>;
}

type Row = Record<string, unknown>;

/** A registry as version 0.1.0 left it is mended when it is opened by this one. */
export function upgradeSuite(test: TestFn, { name, connect }: UpgradeSuite): void {
  /** What 0.1.0 wrote, then opened. */
  async function upgraded(
    t: ExecutionContext,
    write: (made: Made) => Promise<void>,
  ): Promise<{ registry: Registry; db: Knex }> {
    const [db, again] = await connect(t);
    await migrate(db, MIGRATIONS.slice(0, 1));
    await db('retention_classes').insert({ name: 'raw-evidence', days: 90, retired: false });
    await write(makerOf(db));
    const registry = await openRegistry(again);
    t.teardown(() => Promise.all([registry.close(), db.destroy()]));
    t.deepEqual(
      registry.schema.applied,
      MIGRATIONS.slice(1).map((migration) => migration.name),
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
