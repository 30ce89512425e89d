import * as z from 'zod/mini';
import { Page } from './request-fields.ts';

export const ListQuotas = z.strictObject({ ...Page, producer: z.optional(z.string()) });
