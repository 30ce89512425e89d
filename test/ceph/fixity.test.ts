import { fixitySuite } from '../suites/http/fixity.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('fixity', fixitySuite);
