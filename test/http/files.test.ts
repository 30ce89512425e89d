import { filesSuite } from '../suites/http/files.ts';
import { startTestService } from '../support/service.ts';

filesSuite(startTestService);
