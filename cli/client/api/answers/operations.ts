import * as z from 'zod/mini';
import { AuditEvent } from '../../../../src/api/audit.ts';
import { Fixity, FixityRun } from '../../../../src/api/fixity.ts';
import { Diagnosis, LimitsAnswer, Readiness } from '../../../../src/api/operations.ts';
import { RepairedManifests } from '../../../../src/api/repairs.ts';
import { Sweep } from '../../../../src/api/sweeps.ts';
import type { Limits } from '../../../../src/core/limits.ts';
import { document, isShallow, KIB, MIB, page, TOO_DEEP } from './answer.ts';

/** Counts and sizes that the client plans its work and its memory by: none of them may be 0, or more than this. */
const MOST = {
  single_part_max: Number.MAX_SAFE_INTEGER,
  part_size: Number.MAX_SAFE_INTEGER,
  min_part_size: Number.MAX_SAFE_INTEGER,
  max_parts: 10_000,
  object_size_max: Number.MAX_SAFE_INTEGER,
  pack_member_max: 128 * MIB,
  pack_members_max: 100_000,
  pack_target: 128 * MIB,
  files_per_call: 100_000,
  objects_per_call: 100_000,
  parts_per_call: 100_000,
} satisfies Partial<Limits>;

const CheckedLimits = z.pipe(
  LimitsAnswer.check(
    z.superRefine((limits, context) => {
      for (const [name, most] of Object.entries(MOST)) {
        const value = limits[name];
        if (Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most) continue;
        context.addIssue({ code: 'custom', path: [name], message: `is not a whole number from 1 to ${most}` });
      }
    }),
  ),
  z.transform((limits) => limits as unknown as Limits),
);

export const limits = document(CheckedLimits);
export const readiness = document(Readiness);
export const diagnosis = document(Diagnosis);
export const sweep = document(Sweep);
/** A thousand files, each with a path of up to a KiB, which JSON may write six times as long. */
const DAMAGED = { bytes: 8 * MIB, elements: 2_000 };
export const fixity = document(Fixity, DAMAGED);
export const fixityRun = document(FixityRun, DAMAGED);
export const repairedManifests = document(RepairedManifests, DAMAGED);
export const audit = page(
  z.extend(AuditEvent, {
    detail: z.intersection(
      z.custom<object>((value) => isShallow(value), TOO_DEEP),
      AuditEvent.shape.detail,
    ),
  }),
  256 * KIB,
);
