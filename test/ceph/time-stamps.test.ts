import { timeStampSuite } from '../suites/http/time-stamps.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('time stamps', timeStampSuite);
