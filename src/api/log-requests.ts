import * as z from 'zod/mini';
import { wholeNumber } from './request-fields.ts';

const count = wholeNumber(0);

export const CheckpointQuery = z.strictObject({ size: z.optional(count) });
export const StampQuery = z.strictObject({ size: count });
export const ProofQuery = z.strictObject({ event: z.string().check(z.minLength(1), z.maxLength(200)) });
export const ConsistencyQuery = z.strictObject({ from: count, to: z.optional(count) });
