import { rewriteSuite } from '../suites/http/rewrite.ts';
import { startTestService } from '../support/service.ts';

rewriteSuite(startTestService);
