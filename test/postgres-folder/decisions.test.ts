import { decisionsSuite } from '../suites/http/decisions.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('decisions', decisionsSuite);
