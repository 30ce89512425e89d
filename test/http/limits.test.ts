import { limitsSuite } from '../suites/http/limits.ts';
import { startTestService } from '../support/service.ts';

limitsSuite(startTestService);
