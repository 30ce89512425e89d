import { frameCommitsSuite } from '../suites/http/frame-commits.ts';
import { startTestService } from '../support/service.ts';

frameCommitsSuite(startTestService);
