import { tokensSuite } from '../suites/http/tokens.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('tokens', tokensSuite);
