import { z } from 'zod';
import { EligibleList, Hold, Retention, RetentionClassList } from '../../../../src/api/retention.ts';
import { ANSWER_MAX, document, id, KIB, page } from './answer.ts';

const CheckedHold = Hold.extend({ id });
const Checked = Retention.extend({ package_id: id, holds: z.array(CheckedHold) });

export const classes = document(RetentionClassList);
export const eligible = page(EligibleList.shape.items.element.extend({ package_id: id }), 16 * KIB);
/** With everything that was ever decided. */
export const retention = document(Checked, { bytes: ANSWER_MAX, elements: 200_000 });
export const hold = document(CheckedHold);
