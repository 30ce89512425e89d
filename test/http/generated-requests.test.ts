import { generatedRequestsSuite } from '../suites/http/generated-requests.ts';
import { usualOrLong } from '../support/long.ts';
import { startTestService } from '../support/service.ts';

generatedRequestsSuite(startTestService, usualOrLong(5_000, 1_000_000));
