import * as z from 'zod/mini';
import { Link } from '../../api/links.ts';
import * as asked from '../../api/package-requests.ts';
import * as schema from '../../api/packages.ts';
import { Page, Reason } from '../../api/request-fields.ts';
import type { JsonObject } from '../../core/canonical-json.ts';
import { parseDigest } from '../../core/digest.ts';
import { parsePackageId } from '../../core/ids.ts';
import { progressEvent } from '../../core/statehub.ts';
import { createPackage } from '../../usecases/create-package.ts';
import { deletePackage } from '../../usecases/delete-package.ts';
import { failPackage } from '../../usecases/fail-package.ts';
import { finalizePackage } from '../../usecases/finalize-package.ts';
import { getPackage, listPackages } from '../../usecases/list-packages.ts';
import type { PackageRecord } from '../../usecases/records.ts';
import type { Caller } from '../../usecases/services.ts';
import { FINALIZE_FIELDS, PACKAGE_FIELDS } from '../bounds.ts';
import { packageFilter } from '../package-filter.ts';
import { presentPackage } from '../present.ts';
import { type Answer, type HttpServices, type Route, route } from '../route.ts';

export const packageRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/packages',
    operationId: 'createPackage',
    summary: 'Registers a package; the same (producer, external_id) again returns the existing one',
    tag: 'Packages',
    body: asked.CreatePackage,
    json: PACKAGE_FIELDS,
    answers: { 200: schema.Package, 201: schema.Package },
    async handle(services, { body, caller }) {
      const { pkg, created } = await createPackage(services, caller, {
        ...body,
        metadata: body.metadata as JsonObject | undefined,
        supersedes: body.supersedes === undefined ? undefined : parsePackageId(body.supersedes),
      });
      const answer = await present(services, caller, pkg, created ? 201 : 200);
      return { ...answer, headers: { Location: `${services.publicUrl()}/v1/packages/${pkg.id}` } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages',
    operationId: 'listPackages',
    summary: 'Lists packages, newest first',
    tag: 'Packages',
    query: z.extend(asked.ListPackages, Page),
    answers: { 200: schema.PackageList },
    async handle(services, { query, caller, operationId }) {
      const cursor = query.cursor === undefined ? undefined : services.cursors.decode(operationId, query.cursor);
      const filter = packageFilter(query, cursor as string | undefined);
      const { packages, now, more } = await listPackages(services, caller, filter, query.limit);
      const last = packages.at(-1);
      return {
        status: 200,
        body: {
          items: packages.map((pkg) => presentPackage(pkg, caller, now)),
          next_cursor: more && last ? services.cursors.encode(operationId, last.id) : null,
        },
      };
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}',
    operationId: 'getPackage',
    summary: 'One package; a deleted one as its tombstone',
    tag: 'Packages',
    answers: { 200: schema.Package },
    async handle(services, { params, caller }) {
      return present(services, caller, await getPackage(services, caller, parsePackageId(params.id as string)), 200);
    },
  }),

  route({
    method: 'delete',
    path: '/v1/packages/{id}',
    operationId: 'deletePackage',
    summary: 'Deletes a package that is eligible or was never finalized; a tombstone stays',
    tag: 'Packages',
    body: Reason,
    bodyOrQuery: true,
    answers: { 200: schema.Package },
    async handle(services, { params, body, caller }) {
      const id = parsePackageId(params.id as string);
      return present(services, caller, await deletePackage(services, caller, id, body.reason), 200);
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/finalize',
    operationId: 'finalizePackage',
    summary: 'Seals the package: writes its manifest, sets its expiry',
    tag: 'Packages',
    body: z.optional(asked.Finalize),
    json: FINALIZE_FIELDS,
    answers: { 200: schema.Package },
    async handle(services, { params, body, caller }) {
      const id = parsePackageId(params.id as string);
      const { files_digest, ...counts } = body ?? {};
      const expected = { ...counts, files_digest: files_digest === undefined ? undefined : parseDigest(files_digest) };
      return present(services, caller, await finalizePackage(services, caller, id, expected), 200);
    },
  }),

  route({
    method: 'post',
    path: '/v1/packages/{id}/fail',
    operationId: 'failPackage',
    summary: 'The producer gives up',
    tag: 'Packages',
    body: Reason,
    answers: { 200: schema.Package },
    async handle(services, { params, body, caller }) {
      const id = parsePackageId(params.id as string);
      return present(services, caller, await failPackage(services, caller, id, body.reason), 200);
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/link',
    operationId: 'linkPackage',
    summary: "What Statehub's POST /progress/ takes: ids and a summary, never bytes",
    tag: 'Packages',
    query: asked.LinkQuery,
    answers: { 200: Link },
    async handle(services, { params, query, caller }) {
      const pkg = await getPackage(services, caller, parsePackageId(params.id as string));
      const url = `${services.publicUrl()}/v1/packages/${pkg.id}`;
      const wire = presentPackage(pkg, caller, await services.registry.read.now());
      const facts = { ...wire, package_id: pkg.id, metadata: pkg.metadata };
      const event = progressEvent(facts, url, query);
      return { status: 200, body: { package_id: pkg.id, manifest_digest: pkg.manifest_digest, url, event } };
    },
  }),
];

async function present(services: HttpServices, caller: Caller, pkg: PackageRecord, status: number): Promise<Answer> {
  const body = presentPackage(pkg, caller, await services.registry.read.now());
  return { status, body: { ...body, file_rules: pkg.file_rules } };
}
