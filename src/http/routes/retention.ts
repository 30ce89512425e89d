import { AuditList } from '../../api/audit.ts';
import { PageQuery, Reason } from '../../api/request-fields.ts';
import * as schema from '../../api/retention.ts';
import * as asked from '../../api/retention-requests.ts';
import { parsePackageId } from '../../core/ids.ts';
import { DEFAULT_RETENTION_CLASS } from '../../core/retention.ts';
import { extendRetention } from '../../usecases/extend-retention.ts';
import { getRetention } from '../../usecases/get-retention.ts';
import { listAudit } from '../../usecases/list-audit.ts';
import { listEligible } from '../../usecases/list-eligible.ts';
import { placeHold } from '../../usecases/place-hold.ts';
import { releaseHold } from '../../usecases/release-hold.ts';
import { iso, presentAudit, presentHold, presentRetention } from '../present.ts';
import { type Route, route } from '../route.ts';

export const retentionRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/retention/classes',
    operationId: 'listRetentionClasses',
    summary: 'The retention classes and their days',
    tag: 'Retention and audit',
    answers: { 200: schema.RetentionClassList },
    async handle(services) {
      const classes = await services.registry.read.retention.listClasses();
      return {
        status: 200,
        body: {
          items: classes.map(({ name, days, file_rules }) => ({
            name,
            days,
            ...(file_rules.length === 0 ? {} : { files: file_rules }),
            default: name === DEFAULT_RETENTION_CLASS,
          })),
        },
      };
    },
  }),

  route({
    method: 'get',
    path: '/v1/retention/eligible',
    operationId: 'listEligible',
    summary: 'Packages that are expired and not held, and packages of which files may be removed; soonest first',
    tag: 'Retention and audit',
    query: PageQuery,
    answers: { 200: schema.EligibleList },
    async handle(services, { query, caller, operationId }) {
      const after =
        query.cursor === undefined
          ? null
          : (services.cursors.decode(operationId, query.cursor) as { expires_at: number; id: string });
      const { items, more } = await listEligible(services, caller, after, query.limit);
      const last = items.at(-1);
      return {
        status: 200,
        body: {
          items: items.map(({ id, expires_at, ...item }) => ({ package_id: id, ...item, expires_at: iso(expires_at) })),
          next_cursor:
            more && last ? services.cursors.encode(operationId, { expires_at: last.expires_at, id: last.id }) : null,
        },
      };
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/retention',
    operationId: 'getRetention',
    summary: 'How long the package is kept, why, and every change to that',
    tag: 'Retention and audit',
    answers: { 200: schema.Retention },
    async handle(services, { params, caller }) {
      const state = await getRetention(services, caller, parsePackageId(params.id as string));
      return { status: 200, body: presentRetention(state) };
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/retention/extensions',
    operationId: 'extendRetention',
    summary: 'Moves the expiry to a strictly later time; days count from the current expiry',
    tag: 'Retention and audit',
    body: asked.Extend,
    answers: { 200: schema.Retention },
    async handle(services, { params, body, caller }) {
      const extension =
        body.days === undefined ? { expires_at: Date.parse(body.expires_at as string) } : { days: body.days };
      const id = parsePackageId(params.id as string);
      const state = await extendRetention(services, caller, id, extension, body.reason);
      return { status: 200, body: presentRetention(state) };
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/holds',
    operationId: 'placeHold',
    summary: 'Blocks deletion until released, whatever the expiry says',
    tag: 'Retention and audit',
    body: asked.PlaceHold,
    answers: { 201: schema.Hold },
    async handle(services, { params, body, caller }) {
      const id = parsePackageId(params.id as string);
      const hold = await placeHold(services, caller, id, body.reason, body.reference ?? null);
      return { status: 201, body: presentHold(hold) };
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/holds/{hold_id}/release',
    operationId: 'releaseHold',
    summary: 'Releases a hold',
    tag: 'Retention and audit',
    body: Reason,
    answers: { 200: schema.Hold },
    async handle(services, { params, body, caller }) {
      const id = parsePackageId(params.id as string);
      const hold = await releaseHold(services, caller, id, params.hold_id as string, body.reason);
      return { status: 200, body: presentHold(hold) };
    },
  }),

  route({
    method: 'get',
    path: '/v1/audit',
    operationId: 'listAudit',
    summary: 'Who changed what, when, why; oldest first',
    tag: 'Retention and audit',
    query: asked.ListAudit,
    answers: { 200: AuditList },
    async handle(services, { query, caller, operationId }) {
      const afterSeq = query.cursor === undefined ? 0 : (services.cursors.decode(operationId, query.cursor) as number);
      const filter = { ...query, after: query.after === undefined ? undefined : Date.parse(query.after) };
      const { events, more } = await listAudit(services, caller, filter, afterSeq, query.limit);
      const last = events.at(-1);
      return {
        status: 200,
        body: {
          items: events.map(presentAudit),
          next_cursor: more && last ? services.cursors.encode(operationId, last.seq) : null,
        },
      };
    },
  }),
];
