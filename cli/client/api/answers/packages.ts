import { Link, Package } from '../../../../src/api/packages.ts';
import { METADATA_MAX_BYTES } from '../../../../src/core/metadata.ts';
import { document, id, isShallow, KIB, page, TOO_DEEP } from './answer.ts';

const metadata = Package.shape.metadata.refine((value) => isShallow(value), TOO_DEEP);
const CheckedPackage = Package.extend({ id, metadata });

export const package_ = document(CheckedPackage);
export const packages = page(CheckedPackage, METADATA_MAX_BYTES + 16 * KIB);
export const link = document(Link.extend({ event: Link.shape.event.extend({ detail: metadata }) }));
