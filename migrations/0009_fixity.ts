import type { Knex } from 'knex';

/**
 * When each object's bytes were last read, and with what result; and the readings that were asked for. A row of its own for each
 * object: it changes with every reading, and the object's does not.
 */
export async function up(db: Knex): Promise<void> {
  const postgres = db.client.dialect === 'postgresql';
  const [text, number] = postgres ? ['text collate "C"', 'bigint'] : ['text', 'integer'];
  await db.raw(
    // turn_at: by this the oldest is first. A reader that takes an object moves it on, so that no other takes it meanwhile.
    `create table object_checks (
       object_no ${number} primary key references objects (no),
       turn_at bigint not null,
       seen_at bigint not null,
       good_at bigint not null,
       result ${text} not null default 'good',
       found_at bigint,
       seen ${text})`,
  );
  // What was committed was verified then.
  await db.raw(
    `insert into object_checks (object_no, turn_at, seen_at, good_at)
     select no, created_at, created_at, created_at from objects where state <> 'gone' order by no`,
  );
  await db.raw('create index object_checks_turn on object_checks (turn_at)');
  await db.raw(`create index object_checks_bad on object_checks (object_no) where result <> 'good'`);
  if (postgres) await db.raw('analyze object_checks');

  await db.schema.createTable('fixity_runs', (table) => {
    table.text('id').primary();
    table.text('asked_by').notNullable();
    table.text('package_id').comment('whose objects are read; null: all');
    table.double('sample').comment('percent of the objects, by chance; null: all');
    table.text('state').notNullable().comment('running, done, failed');
    table.bigInteger('started_at').notNullable();
    table.bigInteger('seen_at').notNullable().comment('when it was last heard of; ms');
    table.bigInteger('ended_at');
    table.text('report').notNullable().comment('canonical JSON');
    table.text('error_code');
    table.text('error');
  });
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
