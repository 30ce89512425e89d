import * as z from 'zod/mini';
import { DownloadList } from '../../api/downloads.ts';
import { PageQuery } from '../../api/request-fields.ts';
import * as asked from '../../api/transfer-requests.ts';
import * as schema from '../../api/uploads.ts';
import { parsePackageId, parseUploadId } from '../../core/ids.ts';
import { parseLogicalPath } from '../../core/logical-path.ts';
import { abortUpload } from '../../usecases/abort-upload.ts';
import { commitUpload } from '../../usecases/commit-upload.ts';
import { getUpload } from '../../usecases/get-upload.ts';
import { planDownloads } from '../../usecases/plan-downloads.ts';
import { planUploads } from '../../usecases/plan-uploads.ts';
import { signUploadParts } from '../../usecases/sign-upload-parts.ts';
import { OBJECT_LIST, PART_LIST, PATH_LIST } from '../bounds.ts';
import { iso, presentPart, presentPlanned, presentUpload } from '../present.ts';
import { type Route, route } from '../route.ts';
import { objectInputs } from './object-inputs.ts';

export const uploadRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/packages/{id}/uploads',
    operationId: 'planUploads',
    summary: 'Opens uploads for objects that are missing, with a signed URL for each part',
    tag: 'Uploads',
    body: asked.PlanUploads,
    json: OBJECT_LIST,
    answers: { 200: schema.PlannedUploads },
    async handle(services, { params, body, caller }) {
      const planned = await planUploads(services, caller, parsePackageId(params.id as string), objectInputs(body));
      return { status: 200, body: { uploads: planned.map(presentPlanned) } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/uploads/{upload_id}',
    operationId: 'getUpload',
    summary: 'State of an upload and the parts that have arrived',
    tag: 'Uploads',
    answers: { 200: schema.Upload },
    async handle(services, { params, caller }) {
      const { upload, parts } = await getUpload(services, caller, parseUploadId(params.upload_id as string));
      return { status: 200, body: presentUpload(upload, parts) };
    },
  }),

  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/urls',
    operationId: 'signUploadParts',
    summary: 'Fresh URLs for parts of an open upload',
    tag: 'Uploads',
    body: asked.PartUrls,
    json: PART_LIST,
    answers: { 200: schema.PartUrlList },
    async handle(services, { params, body, caller }) {
      const parts = await signUploadParts(services, caller, parseUploadId(params.upload_id as string), body.parts);
      return { status: 200, body: { parts: parts.map(presentPart) } };
    },
  }),

  route({
    method: 'post',
    path: '/v1/uploads/{upload_id}/commit',
    operationId: 'commitUpload',
    summary: 'Completes, verifies and records an upload; safe to repeat',
    tag: 'Uploads',
    body: z.optional(asked.CommitUpload),
    json: PART_LIST,
    answers: { 200: schema.CommittedUpload, 202: schema.CommittedUpload },
    async handle(services, { params, caller }) {
      const { upload, state } = await commitUpload(services, caller, parseUploadId(params.upload_id as string));
      return {
        status: state === 'stored' ? 200 : 202,
        body: { upload_id: upload.id, digest: upload.digest, state },
      };
    },
  }),

  route({
    method: 'delete',
    path: '/v1/uploads/{upload_id}',
    operationId: 'abortUpload',
    summary: 'Aborts an open upload',
    tag: 'Uploads',
    answers: { 200: schema.Upload },
    async handle(services, { params, caller }) {
      const upload = await abortUpload(services, caller, parseUploadId(params.upload_id as string));
      return { status: 200, body: presentUpload(upload, []) };
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/downloads',
    operationId: 'planDownloads',
    summary: 'Signed GETs for the files of a package, each object listed once per page',
    tag: 'Uploads',
    query: PageQuery,
    body: z.optional(asked.Downloads),
    json: PATH_LIST,
    answers: { 200: DownloadList },
    async handle(services, { params, query, body, caller, operationId }) {
      const id = parsePackageId(params.id as string);
      const scope = `${operationId} ${id}`;
      const { encodings = [], paths } = body ?? {};
      const page = paths
        ? { encodings, paths: paths.map(parseLogicalPath) }
        : {
            encodings,
            after: query.cursor === undefined ? null : (services.cursors.decode(scope, query.cursor) as string),
            limit: query.limit,
          };
      const { downloads, next } = await planDownloads(services, caller, id, page);
      const expiry = iso((await services.registry.read.now()) + services.limits.url_lifetime * 1_000);
      return {
        status: 200,
        body: {
          objects: downloads.map(({ request, size, frames, entries }) => ({
            // An empty file needs no request: RFC 2397 says "nothing" in a URL.
            url: request?.url ?? 'data:,',
            headers: request?.headers ?? {},
            size,
            ...(frames && { encoding: 'zstd-seekable' as const, frames: frames.toString('base64') }),
            expires_at: request ? iso(request.expiresAt) : expiry,
            entries,
          })),
          next_cursor: next === null ? null : services.cursors.encode(scope, next),
        },
      };
    },
  }),
];
