import { z } from 'zod';
import { StoreError } from '../../core/errors.ts';
import { parseUploadId } from '../../core/ids.ts';
import { readObject } from '../../usecases/read-file.ts';
import { findPart, receivePart } from '../../usecases/receive-part.ts';
import { serveBytes } from '../bytes.ts';
import { readBytes } from '../read-body.ts';
import { type Route, route } from '../route.ts';

const Signature = {
  expires: z.coerce.number().int().min(0),
  signature: z.string().min(1).max(200),
};

/**
 * What the local folder's signed URLs name. With S3 they name the bucket, but for ranges of packs where the bucket was not
 * seen to keep a URL to its range.
 */
export const signedRoutes: Route[] = [
  route({
    method: 'put',
    path: '/v1/uploads/{upload_id}/parts/{number}',
    operationId: 'putPart',
    summary: 'One part of an upload, exactly the bytes that the URL was signed for',
    tag: 'Signed URLs',
    access: 'signed',
    query: z.strictObject(Signature),
    body: 'bytes',
    answers: { 200: 'received' },
    async handle(services, { params, query }, ctx) {
      const { signer, parts } = services.signedBytes;
      if (parts === null) {
        throw new StoreError('route_not_found', 'This service stores its bytes in S3: part URLs name the bucket.');
      }
      const uploadId = parseUploadId(params.upload_id as string);
      const number = /^[1-9]\d{0,4}$/.test(params.number as string) ? Number(params.number) : 0;
      const found = await findPart(services, uploadId, number);
      const { part } = found;
      const now = await services.registry.read.now();
      signer.verifyPart({ uploadId, number, digest: part.digest, size: part.size, ...query, now });
      const declared = ctx.get('content-length');
      if (declared !== '' && Number(declared) !== part.size) {
        throw new StoreError('body_length_mismatch', `Part ${number} has ${part.size} bytes, not ${declared}.`, {
          digest: part.digest,
        });
      }
      const received = await receivePart(parts, uploadId, found, readBytes(ctx, services.bounds));
      return { status: 200, headers: { ETag: received.etag } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/objects/{object_id}',
    operationId: 'getObject',
    summary: "One object's bytes, or the range that the URL was signed for",
    tag: 'Signed URLs',
    access: 'signed',
    query: z.strictObject({
      ...Signature,
      range: z
        .string()
        .regex(/^\d{1,15}-\d{1,15}$/)
        .optional(),
    }),
    answers: { 200: 'the bytes', 206: 'the range' },
    async handle(services, { params, query }, ctx) {
      const { signer } = services.signedBytes;
      const objectId = params.object_id as string;
      const [offset, size] = (query.range ?? '').split('-').map(Number);
      const range = query.range === undefined ? undefined : { offset: offset as number, size: size as number };
      const now = await services.registry.read.now();
      signer.verifyDownload({ objectId, range, expires: query.expires, signature: query.signature, now });
      if (range && ctx.get('range') !== `bytes=${range.offset}-${range.offset + range.size - 1}`) {
        throw new StoreError('invalid_signature', 'This URL was signed for one range: send exactly that Range header.');
      }
      const object = await readObject(services, objectId);
      await serveBytes(ctx, { ...object, mediaType: 'application/octet-stream', filename: objectId });
      return undefined;
    },
  }),
];
