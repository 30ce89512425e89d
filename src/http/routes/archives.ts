import * as asked from '../../api/archive-requests.ts';
import { parsePackageId } from '../../core/ids.ts';
import { type Route, route } from '../route.ts';
import { sendArchive } from '../send-archive.ts';

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
      await sendArchive(services, caller, parsePackageId(params.id as string), { kind, names, glob }, ctx);
      return undefined;
    },
  }),
];
