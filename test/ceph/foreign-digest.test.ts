import { foreignDigestSuite } from '../suites/http/foreign-digest.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('foreign-digest', foreignDigestSuite);
