import { rewriteSuite } from '../suites/http/rewrite.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('rewrite', rewriteSuite);
