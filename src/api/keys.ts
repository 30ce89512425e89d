import * as z from 'zod/mini';
import { time } from './fields.ts';

/** A public key that the service signs with, or did. */
export const SigningKey = z.object({
  id: z.string().check(z.describe('SHA-256 of the key (SubjectPublicKeyInfo, DER), hex: the keyid of envelopes')),
  algorithm: z.literal('ed25519'),
  public_key: z.string().check(z.describe('PEM')),
  since: time,
  retired_at: z.nullable(time).check(z.describe('since then nothing is signed with it')),
});

export const SigningKeyList = z.object({
  items: z.array(SigningKey),
  current: z.string().check(z.describe('id of the one that this service signs with')),
});
