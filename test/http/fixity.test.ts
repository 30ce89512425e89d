import { fixitySuite } from '../suites/http/fixity.ts';
import { usualOrLong } from '../support/long.ts';
import { startTestService } from '../support/service.ts';

fixitySuite(startTestService, { flips: usualOrLong(1, 1_000) });
