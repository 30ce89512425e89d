import { sweepFaultsSuite } from '../suites/http/sweep-faults.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('faults of a sweep', sweepFaultsSuite);
