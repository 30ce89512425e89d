import type { Knex } from 'knex';
import { canonicalJson, type JsonObject } from '../core/canonical-json.ts';
import { type Digest, digestFromBytes, digestToBytes } from '../core/digest.ts';
import type { PackageId } from '../core/ids.ts';
import { indexedScalars } from '../core/metadata.ts';
import type { PackageStatus } from '../core/package-state.ts';
import { parseJson } from '../core/parse-json.ts';
import type { FileRule } from '../core/retention.ts';
import { isPostgres, rowsOf } from './dialect.ts';
import { fileRulesOf } from './file-rules.ts';
import { packageTotals } from './package-totals.ts';
import type { Reads } from './reads.ts';
import { EVERYTHING, onlyReadable } from './reads.ts';
import { idRows, recordset } from './recordset.ts';

export interface PackageRecord {
  id: PackageId;
  name: string;
  producer: string;
  subject: string | null;
  external_id: string | null;
  status: PackageStatus;
  metadata: JsonObject;
  retention_class: string;
  retention_days: number | null;
  /** Its class's, and those it was made with. */
  file_rules: FileRule[];
  expires_at: number | null;
  active_holds: number;
  supersedes: PackageId | null;
  superseded_by: PackageId | null;
  reason: string | null;
  file_count: number;
  total_size: number;
  /** Files that were removed since it was finalized: counted above all the same. */
  deleted_file_count: number;
  /** Bytes in storage of the objects that hold its files, each whole; null until it is sealed. */
  stored_size: number | null;
  /** Another number whenever the list of files has changed. */
  files_version: number;
  manifest_digest: Digest | null;
  manifest_size: number | null;
  /** Of the envelope that the service signed; null: not yet. */
  attestation_digest: Digest | null;
  created_by: string;
  created_at: number;
  sealed_at: number | null;
  sealed_by: string | null;
  finalized_at: number | null;
  deleted_at: number | null;
}

export type NewPackage = Pick<
  PackageRecord,
  | 'id'
  | 'name'
  | 'producer'
  | 'subject'
  | 'external_id'
  | 'retention_class'
  | 'retention_days'
  | 'expires_at'
  | 'supersedes'
  | 'created_by'
  | 'created_at'
> & { metadata: JsonObject; metadata_text: string; file_rules?: readonly FileRule[] };

export interface PackageFilter {
  producer?: string | undefined;
  subject?: string | undefined;
  external_id?: string | undefined;
  status?: PackageStatus | undefined;
  retention_class?: string | undefined;
  /** Dotted key of a metadata scalar → value. */
  metadata?: ReadonlyMap<string, string> | undefined;
  /** Ids strictly below and at or above these: time bounds, since ids sort by time. */
  below?: string | undefined;
  atLeast?: string | undefined;
  /** None but these. */
  ids?: readonly PackageId[] | undefined;
}

export interface PackageSize {
  id: PackageId;
  metadata_bytes: number;
}

type Row = Omit<PackageRecord, 'metadata' | 'manifest_digest' | 'attestation_digest' | 'file_rules'> & {
  /** Its key inside the registry. */
  no: number;
  metadata: string;
  file_rules: string | null;
  manifest_digest: Buffer | null;
  attestation_digest: Buffer | null;
};

/** What a list of what may be deleted says of a package. */
export type EligibleRecord = Pick<PackageRecord, (typeof ELIGIBLE_COLUMNS)[number]>;
const ELIGIBLE_COLUMNS = [
  'id',
  'name',
  'producer',
  'status',
  'retention_class',
  'expires_at',
  'active_holds',
  'total_size',
] as const;

function fromRow({ no, ...row }: Row): PackageRecord {
  return {
    ...row,
    metadata: parseJson(row.metadata) as JsonObject,
    file_rules: fileRulesOf(row.file_rules),
    manifest_digest: row.manifest_digest && digestFromBytes(row.manifest_digest),
    attestation_digest: row.attestation_digest && digestFromBytes(row.attestation_digest),
  };
}

const OPEN = `status in ('created', 'uploading')`;

/** A row of a PostgreSQL index has at most 2,704 bytes; the same members can be filtered by on SQLite. */
const INDEX_ROW_MAX_BYTES = 2_560;

function fitsIndex(key: string, value: string): boolean {
  return Buffer.byteLength(key) + Buffer.byteLength(value) <= INDEX_ROW_MAX_BYTES;
}

export function packageTable(db: Knex) {
  const postgres = isPostgres(db);

  function matching(filter: PackageFilter, reads: Reads, limit: number): Knex.QueryBuilder {
    // By metadata, the page is found in the index of the metadata; ordering by the package would sort every match.
    const id = filter.metadata && filter.metadata.size > 0 ? 'm0.package_id' : 'packages.id';
    const query = db('packages').orderBy(id, 'desc').limit(limit);
    for (const field of ['producer', 'subject', 'external_id', 'retention_class'] as const) {
      const value = filter[field];
      if (value !== undefined) query.where(`packages.${field}`, value);
    }
    if (filter.status === undefined) query.where('packages.status', '<>', 'deleted');
    else query.where('packages.status', filter.status);
    if (filter.below !== undefined) query.where(id, '<', filter.below);
    if (filter.atLeast !== undefined) query.where(id, '>=', filter.atLeast);
    if (filter.ids !== undefined) query.whereIn(id, [...filter.ids]);
    let nth = 0;
    for (const [key, value] of filter.metadata ?? []) {
      const alias = `m${nth++}`;
      query.join(`package_metadata as ${alias}`, `${alias}.package_id`, 'packages.id');
      query.where({ [`${alias}.key`]: key, [`${alias}.value`]: value });
    }
    onlyReadable(query, reads);
    return query;
  }

  async function indexMetadata(id: PackageId, metadata: JsonObject): Promise<void> {
    const scalars = [...indexedScalars(metadata)].filter(([key, value]) => fitsIndex(key, value));
    if (scalars.length === 0) return;
    const rows = recordset(db, { key: 'text', value: 'text' }, scalars);
    await db.raw('insert into package_metadata (package_id, key, value) select ?, key, value from ? r', [id, rows]);
  }

  return {
    ...packageTotals(db),

    async insert(pkg: NewPackage): Promise<void> {
      const { metadata, metadata_text, file_rules = [], ...columns } = pkg;
      const rules = file_rules.length === 0 ? null : canonicalJson(file_rules);
      // PostgreSQL numbers them itself; of SQLite there is one writer at a time.
      const no = postgres ? {} : { no: db.raw('(select coalesce(max(no), 0) + 1 from packages)') };
      await db('packages').insert({ ...columns, ...no, metadata: metadata_text, file_rules: rules, status: 'created' });
      await indexMetadata(pkg.id, metadata);
    },

    /** Of a package that is being made. */
    async setMetadata(
      id: PackageId,
      { metadata, metadata_text }: Pick<NewPackage, 'metadata' | 'metadata_text'>,
    ): Promise<void> {
      await db('packages').where({ id }).update({ metadata: metadata_text });
      await db('package_metadata').where({ package_id: id }).delete();
      await indexMetadata(id, metadata);
    },

    /** Whether there is any package, whatever became of it. */
    async any(): Promise<boolean> {
      return (await db('packages').first('no')) !== undefined;
    },

    /** Those of these packages whose files are frozen: storage may have a manifest of them, which says of their files what the rows say. */
    async sealedAmong(ids: readonly PackageId[]): Promise<Set<PackageId>> {
      const rows: Array<{ id: PackageId }> = rowsOf(
        await db.raw(
          `select p.id as id from ? r cross join packages p where p.id = r.id
           and (p.sealed_at is not null or p.finalized_at is not null)`,
          [idRows(db, ids)],
        ),
      );
      return new Set(rows.map(({ id }) => id));
    },

    /** Null: there is none, or none that may be read. */
    async get(id: PackageId, reads: Reads = EVERYTHING): Promise<PackageRecord | null> {
      const query = db('packages').where({ id }).first();
      onlyReadable(query, reads);
      const row: Row | undefined = await query;
      return row ? fromRow(row) : null;
    },

    /**
     * Takes the package row's lock until the transaction ends: rules between simultaneous changes rest on it. Whoever may not read the
     * package locks nothing, and waits for nobody who has.
     */
    async lock(id: PackageId, reads: Reads = EVERYTHING): Promise<PackageRecord | null> {
      // SQLite's BEGIN IMMEDIATE has locked everything already.
      const query = db('packages').where({ id }).first();
      onlyReadable(query, reads);
      // No key of a package changes, so whoever only refers to it need not wait.
      const row: Row | undefined = await (postgres ? query.forNoKeyUpdate() : query);
      return row ? fromRow(row) : null;
    },

    // The states below stand in the text, not in a parameter: only then a partial index can serve them.

    /** The package that an external id names: finalized, and superseded by none. */
    async findCurrent(producer: string, externalId: string): Promise<PackageRecord | null> {
      const query = db('packages').where({ producer, external_id: externalId });
      const row: Row | undefined = await query.whereRaw(`superseded_by is null and status = 'finalized'`).first();
      return row ? fromRow(row) : null;
    },

    /** The package that is being made for an external id, whether it revises another one or not. */
    async findOpen(producer: string, externalId: string): Promise<PackageRecord | null> {
      const query = db('packages').where({ producer, external_id: externalId });
      const row: Row | undefined = await query.whereRaw(OPEN).first();
      return row ? fromRow(row) : null;
    },

    /** The package that is being made to supersede this one. */
    async findOpenRevision(id: PackageId): Promise<PackageRecord | null> {
      const row: Row | undefined = await db('packages').where({ supersedes: id }).whereRaw(OPEN).first();
      return row ? fromRow(row) : null;
    },

    /** Newest first. Deleted packages only when asked for. */
    async list(filter: PackageFilter, reads: Reads, limit: number): Promise<PackageRecord[]> {
      return ((await matching(filter, reads, limit).select('packages.*')) as Row[]).map(fromRow);
    },

    /** Of what `list` gives, in its order: the bytes that each one's metadata and file rules have, without reading them. */
    async listSizes(filter: PackageFilter, reads: Reads, limit: number): Promise<PackageSize[]> {
      const size = db.raw(
        'octet_length(packages.metadata) + coalesce(octet_length(packages.file_rules), 0) as metadata_bytes',
      );
      return matching(filter, reads, limit).select('packages.id', size);
    },

    /** Expired, not held, not deleted; soonest expiry first. */
    async listEligible(
      now: number,
      after: { expires_at: number; id: string } | null,
      reads: Reads,
      limit: number,
    ): Promise<EligibleRecord[]> {
      const query = db('packages')
        .select(ELIGIBLE_COLUMNS)
        .whereRaw(`active_holds = 0 and expires_at is not null and status <> 'deleted'`)
        .where('expires_at', '<=', now)
        .orderBy([{ column: 'expires_at' }, { column: 'id' }])
        .limit(limit);
      if (after) query.whereRaw('(expires_at, id) > (?, ?)', [after.expires_at, after.id]);
      onlyReadable(query, reads);
      return query;
    },

    /** Packages whose first finalize transaction is done and whose second is not. */
    async listSealing(): Promise<PackageId[]> {
      const rows: Array<{ id: PackageId }> = await db('packages')
        .whereRaw(`sealed_at is not null and finalized_at is null`)
        .whereIn('status', ['created', 'uploading'])
        .orderBy('id')
        .select('id');
      return rows.map(({ id }) => id);
    },

    /** Deleted between the two finalize transactions, as 0.1.0 allowed: their manifests may stand in storage. */
    async listDeletedSealed(): Promise<PackageId[]> {
      const query = db('packages')
        .whereRaw(`sealed_at is not null and finalized_at is null`)
        .where({ status: 'deleted' });
      const rows: Array<{ id: PackageId }> = await query.select('id');
      return rows.map(({ id }) => id);
    },

    /** Finalized before the service signed attestations, or rebuilt without one. */
    async listUnattested(limit: number): Promise<PackageId[]> {
      const rows: Array<{ id: PackageId }> = await db('packages')
        .where({ status: 'finalized' })
        .whereNull('attestation_digest')
        .orderBy('id')
        .limit(limit)
        .select('id');
      return rows.map(({ id }) => id);
    },

    async update(id: PackageId, change: Partial<Omit<PackageRecord, 'id' | 'metadata' | 'file_rules'>>): Promise<void> {
      const { manifest_digest, attestation_digest, ...columns } = change;
      await db('packages')
        .where({ id })
        .update({
          ...columns,
          ...(manifest_digest === undefined
            ? {}
            : { manifest_digest: manifest_digest && digestToBytes(manifest_digest) }),
          ...(attestation_digest === undefined
            ? {}
            : { attestation_digest: attestation_digest && digestToBytes(attestation_digest) }),
        });
    },

    /** The list of files has changed: by so many files and bytes. */
    async changeFiles(id: PackageId, files: number, bytes: number): Promise<void> {
      await db('packages').where({ id }).increment({ file_count: files, total_size: bytes, files_version: 1 });
    },
  };
}

export type PackageTable = ReturnType<typeof packageTable>;
