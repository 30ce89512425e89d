import { finalizeSuite } from '../suites/http/finalize.ts';
import { startTestService } from '../support/service.ts';

finalizeSuite(startTestService);
