import { decisionsSuite } from '../suites/http/decisions.ts';
import { startTestService } from '../support/service.ts';

decisionsSuite(startTestService);
