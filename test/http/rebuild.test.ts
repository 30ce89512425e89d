import { rebuildSuite } from '../suites/http/rebuild.ts';
import { startTestService } from '../support/service.ts';

rebuildSuite(startTestService);
