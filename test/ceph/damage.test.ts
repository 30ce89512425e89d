import { damageSuite } from '../suites/http/damage.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('damage', damageSuite);
