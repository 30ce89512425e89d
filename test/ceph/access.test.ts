import { accessSuite } from '../suites/http/access.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('access', accessSuite);
