import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Knex } from 'knex';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';

type Env = Record<string, string>;

/** The registry that an environment names, as a database. */
export async function withRegistry<T>(env: Env, work: (db: Knex) => Promise<T>): Promise<T> {
  const url = env.ARTIFACT_STORE_DATABASE_URL;
  const db = url === undefined ? connectSqlite(fileOf(env)) : connectPostgres(url);
  try {
    return await work(db);
  } finally {
    await db.destroy();
  }
}

function fileOf({ ARTIFACT_STORE_DATA_DIR = '' }: Env): string {
  return join(ARTIFACT_STORE_DATA_DIR, 'registry.sqlite');
}

/** Nothing is left of it. */
export async function loseRegistry(env: Env): Promise<void> {
  if (env.ARTIFACT_STORE_DATABASE_URL === undefined) {
    for (const end of ['', '-wal', '-shm']) await rm(`${fileOf(env)}${end}`, { force: true });
    return;
  }
  await withRegistry(env, (db) => db.raw('drop schema public cascade; create schema public'));
}

export interface RegistryContent {
  packages: unknown[];
  metadata: unknown[];
  files: unknown[];
  unproven: unknown[];
  holds: unknown[];
  events: unknown[];
  objects: unknown[];
  frames: unknown[];
  locations: unknown[];
  lost: unknown[];
  deleted: unknown[];
  expiring: unknown[];
  /** Not of open packages, which storage does not know. */
  used: unknown[];
}

const QUERIES: Record<keyof RegistryContent, string> = {
  packages: `select id, name, producer, subject, external_id, status, metadata, retention_class, retention_days, expires_at,
    active_holds, file_rules, deleted_file_count, supersedes, superseded_by, reason, file_count, total_size, stored_size, manifest_digest, manifest_size, created_by,
    created_at, sealed_at, sealed_by, finalized_at, deleted_at from packages where finalized_at is not null order by id`,
  metadata: `select m.package_id, m.key, m.value from package_metadata m join packages p on p.id = m.package_id
    where p.finalized_at is not null order by m.package_id, m.key`,
  files: `select p.id, f.path, f.path_key, b.digest, f.size, f.media_type, f.mtime, f.executable from package_files f
    join packages p on p.no = f.package_no join blobs b on b.no = f.blob_no where p.finalized_at is not null order by p.id, f.path`,
  unproven: `select p.id, b.digest from unproven_contents u join packages p on p.no = u.package_no join blobs b on b.no = u.blob_no
    where p.finalized_at is not null order by p.id, b.digest`,
  holds: `select h.* from holds h join packages p on p.id = h.package_id where p.finalized_at is not null order by h.id`,
  events: `select e.id, e.package_id, e.action, e.at, e.actor, e.reason, e.hold_id, e.expires_before, e.expires_after, e.to_write
    from retention_events e join packages p on p.id = e.package_id where p.finalized_at is not null order by e.package_id, e.at, e.seq`,
  objects: `select id, kind, key, version_id, digest, size, state, encoding, stored_size, stored_digest, created_at from objects
    where state <> 'gone' order by key`,
  frames: `select o.key, f.frames from object_frames f join objects o on o.no = f.object_no order by o.key`,
  locations: `select b.digest, b.size, o.key, l.at from blobs b join (
      select no as blob_no, object_no, "offset" as at from blobs where object_no is not null
      union all select blob_no, object_no, "offset" from blob_locations) l on l.blob_no = b.no
    join objects o on o.no = l.object_no order by b.digest, o.key`,
  deleted: `select p.id, d.path, e.id as event from deleted_files d join packages p on p.no = d.package_no
    join retention_events e on e.seq = d.event_seq order by p.id, d.path`,
  expiring: `select p.id, x.due_at, x.files, x.bytes from expiring_files x join packages p on p.no = x.package_no order by p.id, x.due_at`,
  used: 'select producer, used_bytes from producer_usage where used_bytes > 0 order by producer',
  lost: 'select b.digest from lost_blobs x join blobs b on b.no = x.blob_no order by b.digest',
};

/** All that lasts of a registry, without the numbers that it gives out itself. */
export function contentOf(env: Env): Promise<RegistryContent> {
  return withRegistry(env, async (db) => {
    const content: Partial<RegistryContent> = {};
    for (const [name, sql] of Object.entries(QUERIES)) {
      const answer = await db.raw(sql);
      const rows: Array<Record<string, unknown>> = Array.isArray(answer) ? answer : answer.rows;
      content[name as keyof RegistryContent] = rows.map(plain);
    }
    return content as RegistryContent;
  });
}

/** Alike on both registries. */
function plain(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array
        ? Buffer.from(value.buffer, value.byteOffset, value.length).toString('hex')
        : typeof value === 'boolean'
          ? Number(value)
          : value,
    ]),
  );
}

/** Without what storage cannot know: the ids of objects, and of what is told when a package is made; when an object was recorded. */
export function lasting({ objects, events, ...rest }: RegistryContent): RegistryContent {
  return {
    ...rest,
    objects: objects.map((row) => ({ ...(row as object), id: null, created_at: null })),
    events: events.map((row) => {
      const event = row as { action: string };
      return event.action === 'set' ? { ...event, id: null } : event;
    }),
  };
}
