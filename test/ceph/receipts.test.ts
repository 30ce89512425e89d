import { receiptsSuite } from '../suites/http/receipts.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('receipts', receiptsSuite);
