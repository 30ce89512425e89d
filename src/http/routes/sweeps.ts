import { StartSweep } from '../../api/sweep-requests.ts';
import * as schema from '../../api/sweeps.ts';
import { DEFAULT_REWRITE } from '../../core/rewrite-rules.ts';
import { getSweep, listSweeps, startSweep } from '../../usecases/sweep.ts';
import { presentSweep } from '../present-sweep.ts';
import { type Route, route } from '../route.ts';

const SHOWN = 50;

export const sweepRoutes: Route[] = [
  route({
    method: 'post',
    path: '/v1/operations/sweeps',
    operationId: 'startSweep',
    summary:
      'Find what nothing needs any more; with `apply`, condemn it, and remove what was condemned long enough ago',
    tag: 'Operations',
    body: StartSweep,
    answers: { 202: schema.Sweep },
    async handle(services, { body, caller }) {
      const { apply = false, reconcile = false, max_dead, max_rewrite } = body;
      const rewrite = {
        maxDead: max_dead === undefined ? DEFAULT_REWRITE.maxDead : max_dead / 100,
        maxRewrite: max_rewrite ?? DEFAULT_REWRITE.maxRewrite,
      };
      const options = { apply, reconcile, rewrite };
      return { status: 202, body: presentSweep(await startSweep(services, caller, options)) };
    },
  }),

  route({
    method: 'get',
    path: '/v1/operations/sweeps',
    operationId: 'listSweeps',
    summary: `The last ${SHOWN} sweeps, the newest first`,
    tag: 'Operations',
    answers: { 200: schema.Sweeps },
    handle: async (services) => ({
      status: 200,
      body: { items: (await listSweeps(services, SHOWN)).map(presentSweep) },
    }),
  }),

  route({
    method: 'get',
    path: '/v1/operations/sweeps/{id}',
    operationId: 'getSweep',
    summary: 'How far a sweep is, and what it found',
    tag: 'Operations',
    answers: { 200: schema.Sweep },
    handle: async (services, { params }) => ({
      status: 200,
      body: presentSweep(await getSweep(services, params.id ?? '')),
    }),
  }),
];
