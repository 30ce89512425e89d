import { lostObjectsSuite } from '../suites/http/lost-objects.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('lost objects', lostObjectsSuite);
