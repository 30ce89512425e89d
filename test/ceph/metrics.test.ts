import { metricsSuite } from '../suites/http/metrics.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('metrics', metricsSuite);
