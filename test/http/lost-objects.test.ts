import { lostObjectsSuite } from '../suites/http/lost-objects.ts';
import { startTestService } from '../support/service.ts';

lostObjectsSuite(startTestService);
