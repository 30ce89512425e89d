import * as z from 'zod/mini';
import { Link } from '../../../../src/api/links.ts';
import { document } from './answer.ts';
import { metadata } from './packages.ts';

export const link = document(z.extend(Link, { event: z.extend(Link.shape.event, { detail: metadata }) }));
