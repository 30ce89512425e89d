import * as z from 'zod/mini';
import * as schema from '../../api/fixity.ts';
import { StartFixity } from '../../api/fixity-requests.ts';
import { parsePackageId } from '../../core/ids.ts';
import { getFixityRun, listFixityRuns, startFixityRun } from '../../usecases/fixity-runs.ts';
import { fixityState } from '../../usecases/fixity-state.ts';
import { presentFixity, presentFixityRun } from '../present-fixity.ts';
import { type Route, route } from '../route.ts';

const SHOWN = 10;

export const fixityRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/operations/fixity',
    operationId: 'getFixity',
    summary: 'How much was read again within the period, what is overdue, and what is damaged',
    tag: 'Operations',
    answers: { 200: schema.Fixity },
    handle: async (services) => ({
      status: 200,
      body: presentFixity(await fixityState(services), await listFixityRuns(services, SHOWN)),
    }),
  }),

  route({
    method: 'post',
    path: '/v1/operations/fixity',
    operationId: 'startFixity',
    summary: 'Read objects now, all bytes of them, and hold them against their digests',
    tag: 'Operations',
    body: z.optional(StartFixity),
    answers: { 202: schema.FixityRun },
    async handle(services, { body, caller }) {
      const { package_id, sample = null } = body ?? {};
      const packageId = package_id === undefined ? null : parsePackageId(package_id);
      const { id } = await startFixityRun(services, caller, { packageId, sample });
      return { status: 202, body: presentFixityRun(await getFixityRun(services, id)) };
    },
  }),

  route({
    method: 'get',
    path: '/v1/operations/fixity/{id}',
    operationId: 'getFixityRun',
    summary: 'How far a reading is, and what is damaged of what it was to read',
    tag: 'Operations',
    answers: { 200: schema.FixityRun },
    handle: async (services, { params }) => ({
      status: 200,
      body: presentFixityRun(await getFixityRun(services, params.id ?? '')),
    }),
  }),
];
