import { bagsSuite } from '../suites/http/bags.ts';
import { startTestService } from '../support/service.ts';

bagsSuite(startTestService);
