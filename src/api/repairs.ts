import * as z from 'zod/mini';
import { Upload } from './uploads.ts';

export const Repairs = z.object({ items: z.array(Upload) });

export const RepairedManifests = z.object({
  repaired: z.array(z.string()).check(z.describe('packages whose manifests were written again, and are right')),
  kept: z
    .array(z.string())
    .check(z.describe('packages whose manifests the registry does not give: restore them from a backup')),
});
