import { storeIdentitySuite } from '../suites/http/store-identity.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('store identity', storeIdentitySuite);
