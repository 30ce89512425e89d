import { partUrlsSuite } from '../suites/http/part-urls.ts';
import { startTestService } from '../support/service.ts';

partUrlsSuite(startTestService);
