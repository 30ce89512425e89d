import { pushByHandSuite } from '../suites/http/push-by-hand.ts';
import { HAND_CLIENTS } from '../support/hand-tools.ts';
import { required } from '../support/required.ts';
import { startTestService } from '../support/service.ts';

if (await required('Pushing by hand', HAND_CLIENTS)) pushByHandSuite(startTestService);
