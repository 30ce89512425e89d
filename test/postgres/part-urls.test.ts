import { partUrlsSuite } from '../suites/http/part-urls.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('part URLs', partUrlsSuite);
