import { packsSuite } from '../suites/http/packs.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('packs', packsSuite);
