import { framesSuite } from '../suites/http/frames.ts';
import { startTestService } from '../support/service.ts';

framesSuite(startTestService, { runs: 30 });
