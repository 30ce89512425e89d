import { Readable } from 'node:stream';
import * as asked from '../../api/file-requests.ts';
import * as schema from '../../api/files.ts';
import { type Digest, digestHex, isDigest, parseDigest, parseReprDigest } from '../../core/digest.ts';
import { StoreError } from '../../core/errors.ts';
import type { PackageId } from '../../core/ids.ts';
import { parsePackageId } from '../../core/ids.ts';
import { parseLogicalPath } from '../../core/logical-path.ts';
import { sha256sumLine } from '../../core/manifest.ts';
import { canonicalTime } from '../../core/time.ts';
import { listFiles } from '../../usecases/list-files.ts';
import { putFile } from '../../usecases/put-file.ts';
import { readFile, readManifest } from '../../usecases/read-file.ts';
import { registerFiles } from '../../usecases/register-files.ts';
import type { Caller } from '../../usecases/services.ts';
import { FILE_LIST } from '../bounds.ts';
import { serveBytes } from '../bytes.ts';
import { fileState, presentFile } from '../present.ts';
import { readBytes } from '../read-body.ts';
import { type HttpServices, type Route, route } from '../route.ts';
import { refuseEncoding } from '../validate.ts';

const PAGE = 1_000;
/** Files from this size on come straight from S3. */
const REDIRECT_SIZE = 8 * 1024 ** 2;

export const fileRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/packages/{id}/files',
    operationId: 'registerFiles',
    summary: 'Registers files by path and digest: all or none; says which bytes must be sent',
    tag: 'Packages',
    body: asked.RegisterFiles,
    json: FILE_LIST,
    answers: { 200: schema.RegisteredFiles },
    async handle(services, { params, body, caller }) {
      const inputs = body.files.map((file) => ({
        ...file,
        path: parseLogicalPath(file.path),
        digest: digestOfFile(file.path, file.digest),
        mtime: file.mtime === undefined ? undefined : canonicalTime(file.mtime, file.path),
      }));
      const files = await registerFiles(services, caller, parsePackageId(params.id as string), inputs);
      return {
        status: 200,
        body: { files: files.map((file) => ({ path: file.path, digest: file.digest, state: fileState(file) })) },
      };
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/files',
    operationId: 'listFiles',
    summary: "Lists the package's files, ordered by the bytes of their paths",
    tag: 'Packages',
    query: asked.ListFiles,
    answers: { 200: schema.FileList },
    async handle(services, { params, query, caller, operationId }) {
      const id = parsePackageId(params.id as string);
      const which = query.deleted === 'true' ? 'deleted' : query.missing === 'true' ? 'missing' : 'all';
      const scope = `${operationId} ${id}${which === 'all' ? '' : ` ${which}`}`;
      const after = query.cursor === undefined ? null : (services.cursors.decode(scope, query.cursor) as string);
      const { files, more } = await listFiles(services, caller, id, after, query.limit, which);
      const last = files.at(-1);
      return {
        status: 200,
        body: {
          items: files.map(presentFile),
          next_cursor: more && last ? services.cursors.encode(scope, last.path) : null,
        },
      };
    },
  }),

  route({
    method: 'put',
    path: '/v1/packages/{id}/files/{path}',
    operationId: 'putFile',
    summary: 'Stores one file through the service, hashed on the way',
    tag: 'Packages',
    query: asked.PutFileQuery,
    body: 'bytes',
    answers: { 201: schema.File },
    async handle(services, { params, query, caller }, ctx) {
      refuseEncoding(ctx);
      if (ctx.get('content-range') !== '') {
        throw new StoreError('bad_range', 'PUT accepts only whole files: send all of it, without Content-Range.');
      }
      const file = await putFile(
        services,
        caller,
        parsePackageId(params.id as string),
        {
          path: parseLogicalPath(params.path as string),
          media_type: mediaTypeOf(ctx.get('content-type')),
          digest: expectedDigest(ctx.get('repr-digest'), query.digest),
          replace: query.replace === 'true',
          size: contentLength(ctx.get('content-length')),
        },
        readBytes(ctx, services.bounds),
      );
      return { status: 201, body: presentFile(file) };
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/files/{path}',
    operationId: 'getFile',
    summary: "The file's bytes: one range, conditional requests, HEAD",
    tag: 'Packages',
    query: asked.GetFileQuery,
    answers: { 200: 'the bytes', 206: 'the range', 304: 'not modified', 307: 'the bytes are at this signed URL' },
    async handle(services, { params, query, caller }, ctx) {
      const path = parseLogicalPath(params.path as string);
      const readable = await readFile(services, caller, parsePackageId(params.id as string), path);
      const { file } = readable;
      // Of a folder this service itself serves the bytes, here or there: here they are checked.
      const elsewhere = services.blobs.kind === 's3' && query.redirect !== 'false';
      if (elsewhere && (query.redirect === 'true' || file.size >= REDIRECT_SIZE)) {
        const signed = await readable.sign();
        if (signed) return { status: 307, headers: { Location: signed.url, 'Cache-Control': 'private, no-store' } };
      }
      const filename = file.path.slice(file.path.lastIndexOf('/') + 1);
      await serveBytes(ctx, { ...readable, mediaType: file.media_type, filename });
      return undefined;
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/manifest',
    operationId: 'getManifest',
    summary: "The manifest's exact bytes; format=sha256sum returns the list that sha256sum -c reads",
    tag: 'Packages',
    query: asked.ManifestQuery,
    answers: { 200: 'the manifest', 206: 'the range', 304: 'not modified' },
    async handle(services, { params, query, caller }, ctx) {
      const id = parsePackageId(params.id as string);
      const manifest = await readManifest(services, caller, id);
      if (query.format === 'sha256sum') {
        ctx.set('Cache-Control', 'private, no-cache');
        ctx.status = 200;
        ctx.body = Readable.from(sha256sums(services, caller, id));
        ctx.type = 'text/plain; charset=utf-8';
        return undefined;
      }
      await serveBytes(ctx, { ...manifest, mediaType: 'application/json', filename: `${id}.manifest.json` });
      return undefined;
    },
  }),
];

async function* sha256sums(services: HttpServices, caller: Caller, id: PackageId): AsyncGenerator<string> {
  for (let after: string | null = null, more = true; more; ) {
    const page = await listFiles(services, caller, id, after, PAGE);
    yield page.files.map((file) => sha256sumLine(digestHex(file.digest), file.path)).join('');
    after = page.files.at(-1)?.path ?? null;
    more = page.more;
  }
}

function expectedDigest(reprDigest: string, query: string | undefined): Digest | undefined {
  const fromQuery = query === undefined ? undefined : parseDigest(query);
  if (reprDigest === '') return fromQuery;
  const fromHeader = parseReprDigest(reprDigest);
  if (fromHeader === null) {
    throw new StoreError('invalid_digest', 'Repr-Digest has no sha-256: write Repr-Digest: sha-256=:<base64>:.');
  }
  if (fromQuery !== undefined && fromQuery !== fromHeader) {
    throw new StoreError('invalid_digest', 'Repr-Digest and ?digest= name two different digests.');
  }
  return fromHeader;
}

/** Undefined: a chunked body, whose length shows at its end. */
function contentLength(header: string): number | undefined {
  return header === '' ? undefined : Number(header);
}

/** curl calls everything it sends with -d or -T a form or nothing: neither says what the file is. */
function mediaTypeOf(contentType: string): string | undefined {
  if (contentType === '' || contentType.startsWith('application/x-www-form-urlencoded')) return undefined;
  const parsed = asked.mediaType.safeParse(contentType);
  if (parsed.success) return parsed.data;
  throw new StoreError('invalid_request', `${JSON.stringify(contentType.slice(0, 100))} is not a media type.`, {
    errors: [{ field: 'Content-Type', message: 'is not a media type' }],
  });
}

/** @throws StoreError invalid_digest, naming the path */
function digestOfFile(path: string, digest: string): Digest {
  if (isDigest(digest)) return digest;
  throw new StoreError(
    'invalid_digest',
    `The digest of ${JSON.stringify(path)} is not sha256: and 64 lower-case hex digits.`,
    {
      path,
      digest: digest.slice(0, 100),
    },
  );
}
