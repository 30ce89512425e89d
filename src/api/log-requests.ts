import * as z from 'zod/mini';

const count = z.coerce.number().check(z.int(), z.minimum(0), z.maximum(Number.MAX_SAFE_INTEGER));

export const CheckpointQuery = z.strictObject({ size: z.optional(count) });
export const StampQuery = z.strictObject({ size: count });
export const ProofQuery = z.strictObject({ event: z.string().check(z.minLength(1), z.maxLength(200)) });
export const ConsistencyQuery = z.strictObject({ from: count, to: z.optional(count) });
