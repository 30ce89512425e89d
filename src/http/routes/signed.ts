import type { Context } from 'koa';
import * as z from 'zod/mini';
import { wholeNumber } from '../../api/request-fields.ts';
import type { ByteRange } from '../../blobs/blob-store.ts';
import { PART_MEDIA_TYPE } from '../../blobs/signed-urls.ts';
import { StoreError } from '../../core/errors.ts';
import { parseUploadId } from '../../core/ids.ts';
import type { PlannedPart } from '../../core/part-plan.ts';
import { readObject, readObjectRange } from '../../usecases/read-file.ts';
import { findPart, receivePart } from '../../usecases/receive-part.ts';
import { serveBytes, serveStretch } from '../bytes.ts';
import { readBytes } from '../read-body.ts';
import { type HttpServices, type Route, route } from '../route.ts';
import { refuseEncoding } from '../validate.ts';

const Signature = {
  expires: wholeNumber(0),
  signature: z.string().check(z.minLength(1), z.maxLength(200)),
};

const ObjectQuery = z.strictObject({
  ...Signature,
  /** Offset and size. */
  range: z.optional(z.string().check(z.regex(/^\d{1,15}-\d{1,15}$/))),
});

/**
 * What the local folder's signed URLs name. With S3 they name the bucket, but for ranges of packs that are stored in frames,
 * and of all packs where the bucket was not seen to keep a URL to its range.
 */
export const signedRoutes: Route[] = [
  route({
    method: 'put',
    path: '/v1/uploads/{upload_id}/parts/{number}',
    operationId: 'putPart',
    summary: 'One part of an upload, exactly the bytes that the URL was signed for',
    tag: 'Signed URLs',
    query: z.strictObject(Signature),
    body: 'bytes',
    answers: { 200: 'received' },
    async handle(services, { params, query }, ctx) {
      const { signer, parts } = services.signedBytes;
      if (parts === null) {
        throw new StoreError('route_not_found', 'This service stores its bytes in S3: part URLs lead to the bucket.');
      }
      const uploadId = parseUploadId(params.upload_id as string);
      const number = /^[1-9]\d{0,4}$/.test(params.number as string) ? Number(params.number) : 0;
      const found = await findPart(services, uploadId, number);
      const { part } = found;
      const now = await services.registry.read.now();
      signer.verifyPart({ uploadId, number, digest: part.digest, size: part.size, ...query, now });
      assertHeadersOfPlan(ctx, part);
      const received = await receivePart(parts, uploadId, found, readBytes(ctx, services.bounds));
      return { status: 200, headers: { ETag: received.etag } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/objects/{object_id}',
    operationId: 'getObject',
    summary: "One object's bytes as they are stored, or the range of its content that the URL was signed for",
    tag: 'Signed URLs',
    query: ObjectQuery,
    answers: { 200: 'the bytes', 206: 'the range', 304: 'not modified' },
    async handle(services, { params, query }, ctx) {
      const grant = await verifiedGrant(services, params.object_id as string, query);
      if (grant.range !== null) assertAsked(ctx, grant.range);
      const { objectId, range } = grant;
      const filename = objectId;
      if (range === null) {
        const object = await readObject(services, objectId);
        await serveBytes(ctx, { ...object, mediaType: 'application/octet-stream', filename });
      } else {
        await serveStretch(ctx, { range, filename, open: () => readObjectRange(services, objectId, range) });
      }
      return undefined;
    },
  }),
];

/** What a signature allows. Decided once, from the signature alone: nothing else in the request can add to it. */
interface Grant {
  objectId: string;
  /** Null: the whole object. */
  range: ByteRange | null;
}

/** @throws StoreError invalid_signature, url_expired */
async function verifiedGrant(
  { signedBytes, registry }: HttpServices,
  objectId: string,
  { range: stretch, expires, signature }: z.infer<typeof ObjectQuery>,
): Promise<Grant> {
  const [offset, size] = (stretch ?? '').split('-').map(Number);
  const range = stretch === undefined ? undefined : { offset: offset as number, size: size as number };
  const now = await registry.read.now();
  signedBytes.signer.verifyDownload({ objectId, range, expires, signature, now });
  return { objectId, range: range ?? null };
}

/** A bucket checks the same: the signature is for GET with this Range header. @throws StoreError invalid_signature */
function assertAsked(ctx: Context, range: ByteRange): void {
  if (ctx.method !== 'GET') {
    throw new StoreError('invalid_signature', 'This URL was signed for a range: it works only for GET.');
  }
  if (ctx.get('range') !== `bytes=${range.offset}-${range.offset + range.size - 1}`) {
    throw new StoreError('invalid_signature', 'This URL was signed for one range: send exactly that Range header.');
  }
}

/** @throws StoreError body_length_mismatch, invalid_signature, unsupported_media_type */
function assertHeadersOfPlan(ctx: Context, part: PlannedPart): void {
  if (ctx.get('content-length') !== String(part.size)) {
    throw new StoreError(
      'body_length_mismatch',
      `Part ${part.number} has ${part.size} bytes: send it with Content-Length: ${part.size}.`,
      { digest: part.digest },
    );
  }
  refuseEncoding(ctx);
  if (ctx.get('content-type') === PART_MEDIA_TYPE) return;
  throw new StoreError(
    'invalid_signature',
    `This URL was signed for Content-Type: ${PART_MEDIA_TYPE}: send the plan's headers unchanged.`,
  );
}
