import { openapiSuite } from '../suites/http/openapi.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('openapi', openapiSuite);
