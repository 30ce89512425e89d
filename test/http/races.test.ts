import { racesSuite } from '../suites/http/races.ts';
import { startTestService } from '../support/service.ts';

racesSuite(startTestService);
