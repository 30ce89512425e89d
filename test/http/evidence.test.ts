import { evidenceSuite } from '../suites/http/evidence.ts';
import { startTestService } from '../support/service.ts';

evidenceSuite(startTestService);
