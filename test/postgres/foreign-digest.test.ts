import { foreignDigestSuite } from '../suites/http/foreign-digest.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('foreign-digest', foreignDigestSuite);
