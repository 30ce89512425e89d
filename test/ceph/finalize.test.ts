import { finalizeSuite } from '../suites/http/finalize.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('finalize', finalizeSuite);
