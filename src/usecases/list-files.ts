import type { PackageId } from '../core/ids.ts';
import { assertReadable } from '../core/package-state.ts';
import type { FileRecord } from '../registry/files.ts';
import { readPackage } from './access.ts';
import type { Caller, Services } from './services.ts';

/** In the order of the paths' bytes; `more` says that there is a further page. */
export async function listFiles(
  services: Services,
  caller: Caller,
  id: PackageId,
  after: string | null,
  limit: number,
): Promise<{ files: FileRecord[]; more: boolean }> {
  assertReadable(await readPackage(services.registry.read, caller, id));
  const found = await services.registry.read.files.page(id, after, limit + 1);
  return { files: found.slice(0, limit), more: found.length > limit };
}
