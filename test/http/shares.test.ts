import { sharesSuite } from '../suites/http/shares.ts';
import { startTestService } from '../support/service.ts';

sharesSuite(startTestService);
