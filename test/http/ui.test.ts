import { uiSuite } from '../suites/http/ui.ts';
import { startTestService } from '../support/service.ts';

uiSuite(startTestService);
