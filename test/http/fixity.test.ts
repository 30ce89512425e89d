import { fixitySuite } from '../suites/http/fixity.ts';
import { startTestService } from '../support/service.ts';

fixitySuite(startTestService);
