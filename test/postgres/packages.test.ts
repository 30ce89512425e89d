import { packagesSuite } from '../suites/http/packages.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('packages', packagesSuite);
