import type { Knex } from 'knex';

/** What each producer has, in one row: whoever adds to it waits for no other producer, and nobody has to add anything up. */
export async function up(db: Knex): Promise<void> {
  const text = db.client.dialect === 'postgresql' ? 'text collate "C"' : 'text';
  await db.schema.createTable('producer_usage', (table) => {
    table.specificType('producer', text).primary();
    table
      .bigInteger('used_bytes')
      .notNullable()
      .comment('of the files of finalized packages, but those that were removed');
    table.bigInteger('reserved_bytes').notNullable().comment('of the files of open packages');
    table.bigInteger('open_packages').notNullable();
  });
  await db.raw(
    `insert into producer_usage (producer, used_bytes, reserved_bytes, open_packages)
     select p.producer,
       cast(sum(case when p.status = 'finalized' then p.total_size else 0 end) - coalesce((
         select sum(f.size) from packages q join deleted_files d on d.package_no = q.no
         join package_files f on f.package_no = d.package_no and f.path = d.path
         where q.producer = p.producer and q.status = 'finalized' and q.deleted_file_count > 0), 0) as bigint),
       cast(sum(case when p.status in ('created', 'uploading') then p.total_size else 0 end) as bigint),
       count(case when p.status in ('created', 'uploading') then 1 end)
     from packages p group by p.producer`,
  );
}

export async function down(): Promise<void> {
  throw new Error('A registry is never migrated down: restore a backup instead.');
}
