import type { Context } from 'koa';
import { ARCHIVE_KINDS } from '../core/archive-formats.ts';
import type { PackageId } from '../core/ids.ts';
import { portableName } from '../core/portable-names.ts';
import { type ArchiveRequest, readArchive } from '../usecases/read-archive.ts';
import type { Caller } from '../usecases/services.ts';
import { serveArchive } from './archive-answer.ts';
import type { HttpServices } from './route.ts';

const LISTENERS_MAX = 20;

/** Answers with an archive of a package, as one of those that the caller takes at once. @throws StoreError as readArchive, too_many_transfers */
export async function sendArchive(
  services: HttpServices,
  caller: Caller,
  id: PackageId,
  choice: ArchiveRequest,
  ctx: Context,
): Promise<void> {
  const leave = services.archivesUnderWay.enter(caller.actor);
  const ended = new AbortController();
  // Each layer that an answer passes has one or two.
  ctx.res.setMaxListeners(LISTENERS_MAX);
  ctx.res.once('close', () => {
    leave();
    ended.abort();
  });
  const archive = await readArchive(services, caller, id, choice);
  const kind = ARCHIVE_KINDS[choice.kind];
  const filename = `${portableName(archive.pkg.name)}${kind.ending}`;
  await serveArchive(ctx, archive, { ...kind, signal: ended.signal, filename });
}
