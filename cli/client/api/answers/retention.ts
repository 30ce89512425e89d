import * as z from 'zod/mini';
import { Eligible, Hold, Retention, RetentionClassList } from '../../../../src/api/retention.ts';
import { ANSWER_MAX, document, id, KIB, page } from './answer.ts';

const CheckedHold = z.extend(Hold, { id });
const Checked = z.extend(Retention, { package_id: id, holds: z.array(CheckedHold) });

export const classes = document(RetentionClassList);
export const eligible = page(z.extend(Eligible, { package_id: id }), 16 * KIB);
/** With everything that was ever decided. */
export const retention = document(Checked, { bytes: ANSWER_MAX, elements: 200_000 });
export const hold = document(CheckedHold);
