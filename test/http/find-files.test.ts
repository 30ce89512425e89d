import { findFilesSuite } from '../suites/http/find-files.ts';
import { startTestService } from '../support/service.ts';

findFilesSuite(startTestService);
