import { sweepSuite } from '../suites/http/sweep.ts';
import { startTestService } from '../support/service.ts';

sweepSuite(startTestService);
