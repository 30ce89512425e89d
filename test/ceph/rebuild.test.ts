import { rebuildSuite } from '../suites/http/rebuild.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('rebuild', rebuildSuite);
