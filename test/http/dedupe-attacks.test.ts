import { dedupeAttacksSuite } from '../suites/http/dedupe-attacks.ts';
import { startTestService } from '../support/service.ts';

dedupeAttacksSuite(startTestService);
