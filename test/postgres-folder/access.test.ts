import { accessSuite } from '../suites/http/access.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('access', accessSuite);
