import * as asked from '../../api/find-requests.ts';
import * as schema from '../../api/found-files.ts';
import type * as wire from '../../api/types.ts';
import { parseFileSearch } from '../../core/file-search.ts';
import { type FoundFile, findFiles } from '../../usecases/find-files.ts';
import type { FoundPlace } from '../../usecases/records.ts';
import { iso, isoOrNull } from '../present.ts';
import { type Route, route } from '../route.ts';

export const findRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/files',
    operationId: 'findFiles',
    summary:
      'Which packages have a file: by its digest or by its name; since when, and whether its bytes are still right',
    tag: 'Packages',
    query: asked.FindFiles,
    answers: { 200: schema.FoundFileList },
    async handle(services, { query, caller, operationId }) {
      const { digest, name, cursor, limit } = query;
      const search = parseFileSearch({ digest, name });
      const scope = `${operationId} ${JSON.stringify(search)}`;
      const after = cursor === undefined ? null : (services.cursors.decode(scope, cursor) as FoundPlace);
      const { files, more } = await findFiles(services, caller, search, after, limit);
      const last = files.at(-1);
      const place = last && { id: last.package_id, path: last.path };
      return {
        status: 200,
        body: {
          items: files.map(present),
          next_cursor: more && place ? services.cursors.encode(scope, place) : null,
        },
      };
    },
  }),
];

function present(file: FoundFile): wire.FoundFile {
  const { package_id, package_name, status, producer, subject, path, digest, size, state } = file;
  return {
    package_id,
    package_name,
    package_status: status,
    producer,
    subject,
    path,
    digest,
    size,
    since: iso(file.since),
    state,
    checked_at: isoOrNull(file.checked_at),
  };
}
