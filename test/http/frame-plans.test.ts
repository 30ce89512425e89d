import { framePlansSuite } from '../suites/http/frame-plans.ts';
import { startTestService } from '../support/service.ts';

framePlansSuite(startTestService);
