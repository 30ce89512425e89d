import { timeStampSuite } from '../suites/http/time-stamps.ts';
import { startTestService } from '../support/service.ts';

timeStampSuite(startTestService);
