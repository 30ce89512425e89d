import { Quota } from '../../../../src/api/quota.ts';
import { KIB, page } from './answer.ts';

export const quotas = page(Quota, 4 * KIB);
