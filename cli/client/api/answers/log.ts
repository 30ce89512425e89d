import { Consistency, LogState } from '../../../../src/api/log.ts';
import { document } from './answer.ts';

export const log = document(LogState);
export const consistency = document(Consistency);
