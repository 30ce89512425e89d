import { operationsSuite } from '../suites/http/operations.ts';
import { onPostgres } from '../support/postgres-service.ts';

const KINDS = { registry: 'postgres', blob_store: 'folder' };

await onPostgres('operations', (start) => operationsSuite(start, KINDS));
