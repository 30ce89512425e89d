import { openapiSuite } from '../suites/http/openapi.ts';
import { startTestService } from '../support/service.ts';

openapiSuite(startTestService);
