import { revisionsSuite } from '../suites/http/revisions.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('revisions', revisionsSuite);
