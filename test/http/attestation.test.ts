import { attestationSuite } from '../suites/http/attestation.ts';
import { startTestService } from '../support/service.ts';

attestationSuite(startTestService);
