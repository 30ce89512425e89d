import { storeIdentitySuite } from '../suites/http/store-identity.ts';
import { startTestService } from '../support/service.ts';

storeIdentitySuite(startTestService);
