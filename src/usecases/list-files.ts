import type { PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

/** In the order of the paths' bytes; `more` says that there is a further page. @param deleted only those that were removed */
export async function listFiles(
  services: Services,
  caller: Caller,
  id: PackageId,
  after: string | null,
  limit: number,
  deleted = false,
): Promise<{ files: FileRecord[]; more: boolean }> {
  assertReadable(await readPackage(services.registry.read, caller, id));
  const { files } = services.registry.read;
  const found = deleted ? await files.deletedPage(id, after, limit + 1) : await files.page(id, after, limit + 1);
  return { files: found.slice(0, limit), more: found.length > limit };
}
