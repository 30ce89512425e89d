import { rewriteSuite } from '../suites/http/rewrite.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('rewrite', rewriteSuite);
