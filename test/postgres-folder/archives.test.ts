import { archivesSuite } from '../suites/http/archives.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('archives', archivesSuite);
