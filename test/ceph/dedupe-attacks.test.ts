import { dedupeAttacksSuite } from '../suites/http/dedupe-attacks.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('dedupe-attacks', dedupeAttacksSuite);
