import { receiptsSuite } from '../suites/http/receipts.ts';
import { startTestService } from '../support/service.ts';

receiptsSuite(startTestService);
