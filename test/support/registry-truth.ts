import type { Knex } from 'knex';
import { rowsOf } from '../../src/registry/dialect.ts';

/** What is wrong in a registry's account of objects, blobs and files, in words; it is the truth between any two transactions. */
export async function lostAndFound(db: Knex): Promise<string[]> {
  const holds = `(
    (b.quarantined_at is null and exists (
      select 1 from objects o where o.no = b.object_no and o.state in ('live', 'condemned')))
    or exists (select 1 from blob_locations l join objects o on o.no = l.object_no
      where l.blob_no = b.no and l.quarantined_at is null and o.state in ('live', 'condemned')))`;
  const isLost = 'exists (select 1 from lost_blobs x where x.blob_no = b.no)';
  const wrong: Record<string, string> = {
    'a blob that nothing holds is not lost': `select b.no from blobs b where b.object_no is not null and not ${holds} and not ${isLost}`,
    'a blob that is held is lost': `select b.no from blobs b where ${holds} and ${isLost}`,
    'a blob is lost that nothing has held': `select b.no from blobs b where b.object_no is null and ${isLost}`,
    'a blob without a first place has others': `select b.no from blobs b where b.object_no is null
      and exists (select 1 from blob_locations l where l.blob_no = b.no)`,
    'a blob without a place has a size': 'select b.no from blobs b where b.object_no is null and b.size is not null',
    'a place stands twice': `select b.no from blobs b
      join blob_locations l on l.blob_no = b.no and l.object_no = b.object_no`,
    'something is where an object was': `select b.no from blobs b join objects o on o.no = b.object_no
      where o.state = 'gone'
      union all select l.blob_no from blob_locations l join objects o on o.no = l.object_no where o.state = 'gone'`,
    'a file counts as stored, and nothing has its bytes': `select f.blob_no as no
      from package_files f join packages p on p.no = f.package_no join blobs b on b.no = f.blob_no
      where p.status in ('created', 'uploading', 'finalized') and f.size > 0 and not ${isLost} and not ${holds}
      and not exists (select 1 from unproven_contents u
        where u.package_no = f.package_no and u.blob_no = f.blob_no and u.size = f.size)`,
  };
  const found: string[] = [];
  for (const [what, query] of Object.entries(wrong)) {
    for (const { no } of rowsOf<{ no: number }>(await db.raw(query))) found.push(`${what}: ${no}`);
  }
  return found;
}
