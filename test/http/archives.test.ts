import { archivesSuite } from '../suites/http/archives.ts';
import { startTestService } from '../support/service.ts';

archivesSuite(startTestService);
