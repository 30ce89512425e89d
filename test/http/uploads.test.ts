import { uploadsSuite } from '../suites/http/uploads.ts';
import { startTestService } from '../support/service.ts';

uploadsSuite(startTestService);
