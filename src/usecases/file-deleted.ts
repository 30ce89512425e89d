import { StoreError } from '../core/errors.ts';
import type { PackageId } from '../core/ids.ts';
import type { LogicalPath } from '../core/logical-path.ts';
import type { ReadTables } from '../registry/read-tables.ts';

/** What whoever asks for the bytes of a removed file is told: when, by whom and why it was removed. */
export async function fileDeleted(tables: ReadTables, id: PackageId, path: LogicalPath): Promise<StoreError> {
  const tombstone = await tables.files.tombstone(id, path);
  if (tombstone === null) throw new Error(`${path} of ${id} has no tombstone`);
  const deletedAt = new Date(tombstone.at).toISOString();
  const { actor, reason } = tombstone;
  return new StoreError(
    'file_deleted',
    `${JSON.stringify(path)} was removed from ${id} by ${actor} at ${deletedAt}: ${reason}`,
    { path, deleted_at: deletedAt, deleted_by: actor, reason },
  );
}
