import { evidenceSuite } from '../suites/http/evidence.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('evidence', evidenceSuite);
