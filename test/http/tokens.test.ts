import { tokensSuite } from '../suites/http/tokens.ts';
import { startTestService } from '../support/service.ts';

tokensSuite(startTestService);
