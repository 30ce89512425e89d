import * as z from 'zod/mini';
import { Package } from '../../../../src/api/packages.ts';
import { METADATA_MAX_BYTES } from '../../../../src/core/metadata.ts';
import { document, id, isShallow, KIB, page, TOO_DEEP } from './answer.ts';

export const metadata = Package.shape.metadata.check(z.refine((value) => isShallow(value), TOO_DEEP));
const CheckedPackage = z.extend(Package, { id, metadata });

export const package_ = document(CheckedPackage);
export const packages = page(CheckedPackage, METADATA_MAX_BYTES + 16 * KIB);
