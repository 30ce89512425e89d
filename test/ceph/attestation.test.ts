import { attestationSuite } from '../suites/http/attestation.ts';
import { onCeph } from '../support/ceph-service.ts';

await onCeph('attestation', attestationSuite);
