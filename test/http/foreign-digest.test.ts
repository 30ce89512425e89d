import { foreignDigestSuite } from '../suites/http/foreign-digest.ts';
import { startTestService } from '../support/service.ts';

foreignDigestSuite(startTestService);
