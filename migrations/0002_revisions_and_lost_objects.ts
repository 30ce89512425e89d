import type { Knex } from 'knex';
import { newId } from '../src/core/ids.ts';

/**
 * A revision takes the external id over when it is finalized, no longer when it is made; objects whose bytes are gone are
 * known as lost; keys that storage could not free yet stay marked. Rows that 0.1.0 wrote are mended first, so that the new
 * indexes hold.
 */
export async function up(db: Knex): Promise<void> {
  const postgres = db.client.dialect === 'postgresql';
  const type = postgres ? 'text collate "C"' : 'text';

  await db.raw('drop index packages_external_id_names_one');
  await endSecondOpenOnes(db);
  await pointAtFinalizedOnes(db);
  await db.raw(
    `create unique index packages_one_current on packages (producer, external_id)
     where external_id is not null and superseded_by is null and status = 'finalized'`,
  );
  await db.raw(
    `create unique index packages_one_open on packages (producer, external_id)
     where external_id is not null and status in ('created', 'uploading')`,
  );
  await db.raw(
    `create unique index packages_one_open_revision on packages (supersedes)
     where supersedes is not null and status in ('created', 'uploading')`,
  );
  await db.schema.alterTable('packages', (table) => {
    table.bigInteger('files_version').notNullable().defaultTo(0).comment('counts the changes of the list of files');
  });

  await db.schema.alterTable('objects', (table) => {
    table.specificType('state', type).notNullable().defaultTo('live').comment('live, or lost: its bytes are gone');
  });
  await db.raw(`create index objects_not_live on objects (state, id) where state <> 'live'`);
  // Follows from the states of objects, and is kept with them. Nearly always empty: to ask it costs nothing, wherever a blob
  // must have bytes.
  await db.schema.createTable('lost_blobs', (table) => {
    table.binary('digest').primary().references('blobs.digest').comment('no live object holds it');
  });

  await db.schema.alterTable('uploads', (table) => {
    table
      .boolean('drop_later')
      .notNullable()
      .defaultTo(false)
      .comment('storage cannot free the key yet: for the sweep');
  });
  await db.raw('drop index uploads_dropping');
  await db.raw('create index uploads_dropping on uploads (id) where drop_key = true and drop_later = false');
  await db.raw('create index uploads_dropping_later on uploads (id) where drop_later = true');
  // 0.1.0 took their keys for freed. Of a folder they were; of a bucket something may stand there.
  await db.raw(
    `update uploads set drop_key = true, drop_later = true
     where state = 'failed' and completed_at is null and drop_key = false and storage_upload_id is not null`,
  );
}

interface Open {
  id: string;
  producer: string;
  external_id: string | null;
  supersedes: string | null;
  sealed_at: number | null;
}

const SECOND = 'Another open package had the same external id, or revised the same package.';

/** Of open packages that share an external id, or revise one package, one goes on: a sealed one, else the newest. */
async function endSecondOpenOnes(db: Knex): Promise<void> {
  const open: Open[] = await db('packages')
    .whereIn('status', ['created', 'uploading'])
    .where((either) => either.whereNotNull('external_id').orWhereNotNull('supersedes'))
    .select('id', 'producer', 'external_id', 'supersedes', 'sealed_at');
  const order = (pkg: Open): string => `${pkg.sealed_at === null ? 'open' : 'sealed'} ${pkg.id}`;
  const taken = new Set<string>();
  for (const pkg of open.toSorted((a, b) => (order(a) < order(b) ? 1 : -1))) {
    const names = [
      ...(pkg.external_id === null ? [] : [JSON.stringify([pkg.producer, pkg.external_id])]),
      ...(pkg.supersedes === null ? [] : [pkg.supersedes]),
    ];
    if (names.some((name) => taken.has(name))) await fail(db, pkg.id);
    else for (const name of names) taken.add(name);
  }
}

async function fail(db: Knex, id: string): Promise<void> {
  const at = Date.now();
  await db('packages').where({ id }).update({ status: 'failed', reason: SECOND });
  await db('audit_events').insert({
    id: newId('evt', at),
    at,
    actor: 'artifact-store',
    action: 'package.failed',
    package_id: id,
    reason: SECOND,
    detail: '{}',
  });
}

/** What superseded a package before it was finalized does so no more; what supersedes that one may. */
async function pointAtFinalizedOnes(db: Knex): Promise<void> {
  const rows: Array<{ id: string; superseded_by: string }> = await db('packages')
    .whereNotNull('superseded_by')
    .select('id', 'superseded_by');
  const by = new Map(rows.map((row) => [row.id, row.superseded_by]));
  const unfinished: Array<{ id: string }> = await db('packages')
    .whereNull('finalized_at')
    .whereIn('id', db('packages').whereNotNull('superseded_by').select('superseded_by'))
    .select('id');
  const open = new Set(unfinished.map(({ id }) => id));
  for (const { id, superseded_by } of rows) {
    let next: string | undefined = superseded_by;
    // Always a newer package: this ends.
    while (next !== undefined && open.has(next)) next = by.get(next);
    if (next !== superseded_by)
      await db('packages')
        .where({ id })
        .update({ superseded_by: next ?? null });
  }
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
