import * as schema from '../../api/schemas.ts';
import { checkReadiness } from '../../usecases/check-readiness.ts';
import { type Route, route } from '../route.ts';

export const operationRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/limits',
    operationId: 'getLimits',
    summary: 'What a client must know to plan its work; sizes in bytes, lifetimes in seconds',
    tag: 'Operations',
    answers: { 200: schema.LimitsAnswer },
    handle: async (services) => ({ status: 200, body: services.limits }),
  }),

  route({
    method: 'get',
    path: '/healthz',
    operationId: 'getHealth',
    summary: 'The process is alive',
    tag: 'Operations',
    access: 'open',
    answers: { 200: schema.Health },
    handle: async () => ({ status: 200, body: { status: 'ok' } }),
  }),

  route({
    method: 'get',
    path: '/readyz',
    operationId: 'getReadiness',
    summary: 'Registry and blob store answer; 503 when one does not',
    tag: 'Operations',
    access: 'open',
    answers: { 200: schema.Readiness, 503: schema.Readiness },
    async handle(services) {
      const { ready, registry, blob_store } = await checkReadiness(services);
      return {
        status: ready ? 200 : 503,
        body: { status: ready ? 'ready' : 'not_ready', version: services.version, registry, blob_store },
      };
    },
  }),
];
