import * as z from 'zod/mini';
import { SCOPES } from '../core/scopes.ts';
import { TEXT_MAX } from '../core/text-problem.ts';
import { time } from './fields.ts';
import { many, Page, reason, text } from './request-fields.ts';

const PRODUCERS_MAX = 100;
/** A hundred years, seconds. */
const LIFE_MAX = 3_155_760_000;

export const CreateToken = z
  .strictObject({
    name: text(TEXT_MAX.token),
    description: z.optional(text(TEXT_MAX.description)),
    scopes: many(z.enum(SCOPES), SCOPES.length, 1),
    producers: z
      .optional(many(text(TEXT_MAX.producer), PRODUCERS_MAX, 1))
      .check(z.describe('whose packages exist for it; left out: all')),
    expires_at: z.optional(time),
    expires_in: z
      .optional(z.int().check(z.minimum(1), z.maximum(LIFE_MAX)))
      .check(z.describe('seconds from now; without either it never expires')),
  })
  .check(
    z.refine((body) => body.expires_at === undefined || body.expires_in === undefined, {
      message: 'give either expires_at or expires_in',
      path: ['expires_at'],
    }),
  );

export const ListTokens = z.strictObject(Page);

export const RevokeToken = z.optional(z.strictObject({ reason: z.optional(reason) }));
