import { fileRulesSuite } from '../suites/http/file-rules.ts';
import { startTestService } from '../support/service.ts';

fileRulesSuite(startTestService);
