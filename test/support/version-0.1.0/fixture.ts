import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import type { TreeName } from './trees.ts';

/** What `record.ts` wrote down of version 0.1.0: its data folder, and what its service said of it. */
const FOLDER = resolve(import.meta.dirname, '../../../fixtures/version-0.1.0');
export const ARCHIVE = join(FOLDER, 'data.tar.gz');
export const ANSWERS = join(FOLDER, 'answers.json');

/** Fields that depend on the time of the question are left out. */
export interface OldAnswers {
  packages: OldPackage[];
}

export interface OldPackage {
  /** The files that it was made of, or that were sent of it. */
  tree: TreeName;
  /** `GET /v1/packages/{id}` */
  package: {
    id: string;
    status: string;
    external_id: string | null;
    manifest_digest: string | null;
    superseded_by: string | null;
  };
  /** `GET /v1/packages/{id}/retention` */
  retention: object;
  /** `GET /v1/audit?package_id={id}` */
  audit: Array<{ id: string }>;
}

export async function oldAnswers(): Promise<OldAnswers> {
  return JSON.parse(await readFile(ANSWERS, 'utf8')) as OldAnswers;
}

export interface UnpackOptions {
  /** Milliseconds since 1970 until which the uploads stay open that were open; they have expired where this is left out. */
  openUntil?: number | undefined;
}

/** Lays the data folder of version 0.1.0 out, its SQLite registry in it. @param folder an empty one @returns it */
export async function unpackDataFolder(folder: string, { openUntil }: UnpackOptions = {}): Promise<string> {
  await promisify(execFile)('tar', ['-xzpf', ARCHIVE, '--no-same-owner', '-C', folder]);
  if (openUntil === undefined) return folder;
  const db = new Database(join(folder, REGISTRY_FILE));
  db.prepare(`update uploads set expires_at = ? where state = 'open'`).run(openUntil);
  db.close();
  return folder;
}

export const REGISTRY_FILE = 'registry.sqlite';

export type Row = Record<string, string | number | Buffer | null>;

/** Every row of every table that migration 0001 makes; tables that others refer to come first. */
export function readRows(registryFile: string): Array<{ table: string; rows: Row[] }> {
  const db = new Database(registryFile, { readonly: true });
  try {
    const known = db.prepare(`select name from sqlite_schema where type = 'table'`).pluck().all() as string[];
    const unnamed = known.filter((name) => !/^(sqlite|knex)_/.test(name) && !TABLES.includes(name));
    if (unnamed.length > 0) throw new Error(`The rows of ${unnamed.join(', ')} would be left behind.`);
    return TABLES.map((table) => ({ table, rows: db.prepare(`select * from ${table} order by 1`).all() as Row[] }));
  } finally {
    db.close();
  }
}

/** The migrations that a SQLite registry has. */
export function migrationsOf(registryFile: string): string[] {
  const db = new Database(registryFile, { readonly: true });
  try {
    return db.prepare('select name from knex_migrations order by id').pluck().all() as string[];
  } finally {
    db.close();
  }
}

const TABLES = [
  'retention_classes',
  'packages',
  'package_metadata',
  'package_files',
  'blobs',
  'objects',
  'blob_locations',
  'uploads',
  'upload_parts',
  'upload_members',
  'holds',
  'retention_events',
  'audit_events',
  'api_tokens',
];
