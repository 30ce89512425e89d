import { rebuildSuite } from '../suites/http/rebuild.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('rebuild', rebuildSuite);
