import { fixitySuite } from '../suites/http/fixity.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('fixity', fixitySuite);
