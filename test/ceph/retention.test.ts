import { retentionSuite } from '../suites/http/retention.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('retention', retentionSuite);
