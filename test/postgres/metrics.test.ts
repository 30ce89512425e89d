import { metricsSuite } from '../suites/http/metrics.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('metrics', metricsSuite);
