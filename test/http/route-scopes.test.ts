import { routeScopesSuite } from '../suites/http/route-scopes.ts';
import { startTestService } from '../support/service.ts';

routeScopesSuite(startTestService);
