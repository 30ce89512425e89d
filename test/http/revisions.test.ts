import { revisionsSuite } from '../suites/http/revisions.ts';
import { startTestService } from '../support/service.ts';

revisionsSuite(startTestService);
