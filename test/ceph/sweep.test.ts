import { sweepSuite } from '../suites/http/sweep.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('sweep', sweepSuite);
