import { limitsSuite } from '../suites/http/limits.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('limits', limitsSuite);
