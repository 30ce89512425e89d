import { retentionSuite } from '../suites/http/retention.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('retention', retentionSuite);
