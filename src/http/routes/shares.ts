import * as asked from '../../api/share-requests.ts';
import * as schema from '../../api/shares.ts';
import type * as wire from '../../api/types.ts';
import { parsePackageId, parseShareId } from '../../core/ids.ts';
import { parseLogicalPath } from '../../core/logical-path.ts';
import type { ShareRecord } from '../../usecases/records.ts';
import { createShare, listShares, revokeShare, type ShareInput, stateOfShare } from '../../usecases/shares.ts';
import { iso, isoOrNull } from '../present.ts';
import { type Route, route } from '../route.ts';

export const shareRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/packages/{id}/shares',
    operationId: 'createShare',
    summary:
      'Makes a link that shows a finalized package, or one file of it, to whoever has it; the answer alone tells it',
    tag: 'Access',
    body: asked.CreateShare,
    answers: { 201: schema.NewShare },
    async handle(services, { params, body, caller }) {
      const { expires_at, expires_in, path, note } = body;
      const input = {
        path: path === undefined ? undefined : parseLogicalPath(path),
        note,
        expires: expiryOf(expires_at, expires_in),
      };
      const { record, token } = await createShare(services, caller, parsePackageId(params.id as string), input);
      const url = `${services.publicUrl()}/ui/shared/${token}`;
      return {
        status: 201,
        body: { ...present(record, record.created_at), url },
        headers: { 'Cache-Control': 'no-store' },
      };
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/shares',
    operationId: 'listShares',
    summary: "The package's shares, the newest first, without their links; revoked and expired ones too",
    tag: 'Access',
    query: asked.ListShares,
    answers: { 200: schema.ShareList },
    async handle(services, { params, query, caller, operationId }) {
      const id = parsePackageId(params.id as string);
      const scope = `${operationId} ${id}`;
      const below = query.cursor === undefined ? null : (services.cursors.decode(scope, query.cursor) as string);
      const { shares, now, more } = await listShares(services, caller, id, below, query.limit);
      const last = shares.at(-1);
      return {
        status: 200,
        body: {
          items: shares.map((share) => present(share, now)),
          next_cursor: more && last ? services.cursors.encode(scope, last.id) : null,
        },
      };
    },
  }),

  route({
    method: 'delete',
    path: '/v1/shares/{id}',
    operationId: 'revokeShare',
    summary: 'Revokes a share: from now on its link shows nothing',
    tag: 'Access',
    body: asked.RevokeShare,
    bodyOrQuery: true,
    answers: { 200: schema.Share },
    async handle(services, { params, body, caller }) {
      const share = await revokeShare(services, caller, parseShareId(params.id as string), body?.reason ?? null);
      return { status: 200, body: present(share, await services.registry.read.now()) };
    },
  }),
];

function expiryOf(at: string | undefined, seconds: number | undefined): ShareInput['expires'] {
  if (at !== undefined) return { at: Date.parse(at) };
  return seconds === undefined ? undefined : { in: seconds * 1_000 };
}

function present(share: ShareRecord, now: number): wire.Share {
  const { id, package_id, path, note, created_by, revoked_by } = share;
  return {
    id,
    package_id,
    path,
    note,
    state: stateOfShare(share, now),
    created_at: iso(share.created_at),
    created_by,
    expires_at: iso(share.expires_at),
    revoked_at: isoOrNull(share.revoked_at),
    revoked_by,
  };
}
