import { sharesSuite } from '../suites/http/shares.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('shares', sharesSuite);
