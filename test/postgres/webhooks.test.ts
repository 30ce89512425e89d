import { webhooksSuite } from '../suites/http/webhooks.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('webhooks', webhooksSuite);
