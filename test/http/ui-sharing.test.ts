import { uiSharingSuite } from '../suites/http/ui-sharing.ts';
import { startTestService } from '../support/service.ts';

uiSharingSuite(startTestService);
