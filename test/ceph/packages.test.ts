import { packagesSuite } from '../suites/http/packages.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('packages', packagesSuite);
