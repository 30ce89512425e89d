import { racesSuite } from '../suites/http/races.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('races', racesSuite);
