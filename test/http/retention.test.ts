import { retentionSuite } from '../suites/http/retention.ts';
import { startTestService } from '../support/service.ts';

retentionSuite(startTestService);
