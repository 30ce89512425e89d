import { damageSuite } from '../suites/http/damage.ts';
import { startTestService } from '../support/service.ts';

damageSuite(startTestService);
