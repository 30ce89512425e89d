import { packagesSuite } from '../suites/http/packages.ts';
import { startTestService } from '../support/service.ts';

packagesSuite(startTestService);
