import { decisionsSuite } from '../suites/http/decisions.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('decisions', decisionsSuite);
