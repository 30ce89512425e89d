import * as asked from '../../api/archive-requests.ts';
import { ARCHIVE_KINDS } from '../../core/archive-formats.ts';
import { parsePackageId } from '../../core/ids.ts';
import { portableName } from '../../core/portable-names.ts';
import { readArchive } from '../../usecases/read-archive.ts';
import { serveArchive } from '../archive-answer.ts';
import { type Route, route } from '../route.ts';

const LISTENERS_MAX = 20;

export const archiveRoutes: readonly Route[] = [
  route({
    method: 'get',
    path: '/v1/packages/{id}/archive',
    operationId: 'getArchive',
    summary:
      'A finalized package, or the files that a glob names, as one file: tar, tar.zst, zip, or a bag (RFC 8493) as zip or tar',
    tag: 'Packages',
    query: asked.ArchiveQuery,
    answers: { 200: 'the archive', 206: 'the range, of tar and zip', 304: 'not modified' },
    async handle(services, { params, query, caller }, ctx) {
      const { format: kind, names, path: glob } = query;
      const leave = services.archivesUnderWay.enter(caller.actor);
      const ended = new AbortController();
      // Each layer that an answer passes has one or two.
      ctx.res.setMaxListeners(LISTENERS_MAX);
      ctx.res.once('close', () => {
        leave();
        ended.abort();
      });
      const archive = await readArchive(services, caller, parsePackageId(params.id as string), { kind, names, glob });
      const { ending } = ARCHIVE_KINDS[kind];
      await serveArchive(ctx, archive, {
        ...ARCHIVE_KINDS[kind],
        signal: ended.signal,
        filename: `${portableName(archive.pkg.name)}${ending}`,
      });
      return undefined;
    },
  }),
];
