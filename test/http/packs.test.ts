import { packsSuite } from '../suites/http/packs.ts';
import { startTestService } from '../support/service.ts';

packsSuite(startTestService);
