import { sweepFaultsSuite } from '../suites/http/sweep-faults.ts';
import { startTestService } from '../support/service.ts';

sweepFaultsSuite(startTestService);
