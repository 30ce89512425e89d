import { accessSuite } from '../suites/http/access.ts';
import { startTestService } from '../support/service.ts';

accessSuite(startTestService);
