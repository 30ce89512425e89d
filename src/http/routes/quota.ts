import { QuotaList } from '../../api/quota.ts';
import { ListQuotas } from '../../api/quota-requests.ts';
import { listQuotas } from '../../usecases/get-quota.ts';
import { type Route, route } from '../route.ts';

export const quotaRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/quota',
    operationId: 'listQuotas',
    summary: 'What each producer uses, and what it may use',
    tag: 'Operations',
    query: ListQuotas,
    answers: { 200: QuotaList },
    async handle(services, { query, caller, operationId }) {
      const after = query.cursor === undefined ? null : (services.cursors.decode(operationId, query.cursor) as string);
      const { items, more } = await listQuotas(services, caller, query.producer, after, query.limit);
      const last = items.at(-1);
      const next = more && last ? services.cursors.encode(operationId, last.producer) : null;
      return { status: 200, body: { items, next_cursor: next } };
    },
  }),
];
