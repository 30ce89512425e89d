import * as asked from '../../api/file-deletion-requests.ts';
import { FileDeletion } from '../../api/file-deletions.ts';
import { parsePackageId } from '../../core/ids.ts';
import { parseLogicalPath } from '../../core/logical-path.ts';
import { checkDeletion, deleteFiles } from '../../usecases/delete-files.ts';
import { removeFile } from '../../usecases/remove-file.ts';
import { PATH_LIST } from '../bounds.ts';
import { type Route, route } from '../route.ts';

export const fileDeletionRoutes: Route[] = [
  route({
    method: 'delete',
    path: '/v1/packages/{id}/files/{path}',
    operationId: 'removeFile',
    summary:
      'Removes a file: from a package that is not finalized; from a finalized one with a reason, when a file rule says that its time is over',
    tag: 'Packages',
    body: asked.DeleteFile,
    bodyOrQuery: true,
    answers: { 204: 'removed' },
    async handle(services, { params, body, caller }) {
      const path = parseLogicalPath(params.path as string);
      await removeFile(services, caller, parsePackageId(params.id as string), path, body.reason);
      return { status: 204 };
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/file-deletions',
    operationId: 'deleteFiles',
    summary: 'Removes files of a finalized package whose time is over by its file rules: all of them or none',
    tag: 'Packages',
    body: asked.DeleteFiles,
    json: PATH_LIST,
    answers: { 200: FileDeletion },
    async handle(services, { params, body, caller }) {
      const id = parsePackageId(params.id as string);
      const paths = [...new Set(body.paths.map((path) => parseLogicalPath(path)))];
      const removal =
        body.check === true
          ? await checkDeletion(services, caller, id, paths)
          : await deleteFiles(services, caller, id, paths, body.reason);
      return { status: 200, body: { package_id: id, ...removal } };
    },
  }),
];
