import { operationsSuite } from '../suites/http/operations.ts';
import { onCeph } from '../support/ceph-service.ts';

const KINDS = { registry: 'postgres', blob_store: 's3' };

await onCeph('operations', (start) => operationsSuite(start, KINDS));
