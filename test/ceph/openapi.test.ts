import { openapiSuite } from '../suites/http/openapi.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('openapi', openapiSuite);
