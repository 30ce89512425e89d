import * as schema from '../../api/repairs.ts';
import * as asked from '../../api/transfer-requests.ts';
import { PlannedUploads } from '../../api/uploads.ts';
import { listRepairs, planRepairs } from '../../usecases/plan-repairs.ts';
import { repairManifests } from '../../usecases/repair-manifests.ts';
import { OBJECT_LIST } from '../bounds.ts';
import { presentPlanned, presentUpload } from '../present.ts';
import { type Route, route } from '../route.ts';
import { objectInputs } from './object-inputs.ts';

const SHOWN = 50;

export const repairRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/operations/repairs',
    operationId: 'planRepairs',
    summary:
      'Opens uploads for objects that living packages need and whose bytes are damaged or gone; they belong to no package',
    tag: 'Operations',
    body: asked.PlanUploads,
    json: OBJECT_LIST,
    answers: { 200: PlannedUploads },
    handle: async (services, { body, caller }) => ({
      status: 200,
      body: { uploads: (await planRepairs(services, caller, objectInputs(body))).map(presentPlanned) },
    }),
  }),

  route({
    method: 'get',
    path: '/v1/operations/repairs',
    operationId: 'listRepairs',
    summary: `The last ${SHOWN} uploads of repairs, the newest first`,
    tag: 'Operations',
    answers: { 200: schema.Repairs },
    handle: async (services, { caller }) => ({
      status: 200,
      body: { items: (await listRepairs(services, caller, SHOWN)).map((upload) => presentUpload(upload, [])) },
    }),
  }),

  route({
    method: 'post',
    path: '/v1/operations/repairs/manifests',
    operationId: 'repairManifests',
    summary: 'Writes damaged manifests again from the registry, where that gives the bytes that seal the package',
    tag: 'Operations',
    answers: { 200: schema.RepairedManifests },
    handle: async (services, { caller }) => ({ status: 200, body: await repairManifests(services, caller) }),
  }),
];
