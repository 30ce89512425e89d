import * as schema from '../../api/operations.ts';
import { checkReadiness } from '../../usecases/check-readiness.ts';
import { diagnose } from '../../usecases/diagnose.ts';
import { presentReadiness, presentReady } from '../present.ts';
import { type Route, route } from '../route.ts';

export const operationRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/limits',
    operationId: 'getLimits',
    summary: 'What a client must know to plan its work; sizes in bytes, lifetimes in seconds',
    tag: 'Operations',
    answers: { 200: schema.LimitsAnswer },
    handle: async ({ limits, quotas: { files_per_package, uploads_per_package, bytes_per_package } }) => ({
      status: 200,
      body: {
        ...limits,
        files_per_package,
        uploads_per_package,
        ...(bytes_per_package === null ? {} : { bytes_per_package }),
      },
    }),
  }),

  route({
    method: 'get',
    path: '/healthz',
    operationId: 'getHealth',
    summary: 'The process is alive',
    tag: 'Operations',
    answers: { 200: schema.Health },
    handle: async () => ({ status: 200, body: { status: 'ok' } }),
  }),

  route({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    summary: 'Registry and blob store answer; 503 when one does not',
    tag: 'Operations',
    answers: { 200: schema.Readiness, 503: schema.Readiness },
    async handle(services, { isTold }) {
      const readiness = await checkReadiness(services);
      const body = (await isTold()) ? presentReadiness(readiness, services.version) : presentReady(readiness);
      return { status: readiness.ready ? 200 : 503, body };
    },
  }),

  route({
    method: 'get',
    path: '/v1/diagnosis',
    operationId: 'getDiagnosis',
    summary: 'What an operator should check, in words, and what to change',
    tag: 'Operations',
    answers: { 200: schema.Diagnosis },
    handle: async (services) => ({ status: 200, body: { checks: await diagnose(services, services.surroundings) } }),
  }),
];
