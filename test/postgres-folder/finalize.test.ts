import { finalizeSuite } from '../suites/http/finalize.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('finalize', finalizeSuite);
