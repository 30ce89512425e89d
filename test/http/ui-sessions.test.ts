import { uiSessionsSuite } from '../suites/http/ui-sessions.ts';
import { startTestService } from '../support/service.ts';

uiSessionsSuite(startTestService);
