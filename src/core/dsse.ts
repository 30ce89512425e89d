import { canonicalJson } from './canonical-json.ts';
import type { PublicKey, SigningKey } from './signing-key.ts';

/**
 * Dead Simple Signing Envelope 1.0 (github.com/secure-systems-lab/dsse): bytes, what they are, and signatures over both.
 */
export interface Envelope {
  payloadType: string;
  /** Base64. */
  payload: string;
  signatures: Array<{ keyid: string; sig: string }>;
}

/** It is no envelope, or nobody known has signed it; `message` says which. */
export class EnvelopeError extends Error {
  override readonly name = 'EnvelopeError';
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** So many signatures are looked at. */
const SIGNATURES_MAX = 100;

/** Pre-authentication encoding: what is signed. */
export function preAuthEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType);
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.length} `), payload]);
}

export function signEnvelope(payloadType: string, payload: Uint8Array, key: SigningKey): Envelope {
  const sig = key.sign(preAuthEncoding(payloadType, payload)).toString('base64');
  return {
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: [{ keyid: key.publicKey.id, sig }],
  };
}

export function envelopeBytes(envelope: Envelope): Buffer {
  return Buffer.from(canonicalJson(envelope));
}

/** @throws EnvelopeError */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  let said: unknown;
  try {
    said = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8'));
  } catch (cause) {
    throw new EnvelopeError('is not JSON', { cause });
  }
  if (!isEnvelope(said)) throw new EnvelopeError('is not a DSSE envelope');
  return said;
}

function isEnvelope(said: unknown): said is Envelope {
  const { payloadType, payload, signatures } = (said ?? {}) as Partial<Envelope>;
  if (typeof payloadType !== 'string' || !isBase64(payload) || !Array.isArray(signatures)) return false;
  if (signatures.length === 0 || signatures.length > SIGNATURES_MAX) return false;
  return signatures.every((each) => typeof each?.keyid === 'string' && isBase64(each.sig));
}

function isBase64(value: unknown): value is string {
  return typeof value === 'string' && BASE64.test(value);
}

/**
 * The bytes that one of these keys has signed, and with which key. What the envelope says of its keys is a hint, no proof.
 * @throws EnvelopeError
 */
export function openEnvelope(
  { payloadType, payload, signatures }: Envelope,
  wantedType: string,
  keys: readonly PublicKey[],
): { payload: Buffer; key: PublicKey } {
  if (payloadType !== wantedType) throw new EnvelopeError(`holds ${payloadType}, not ${wantedType}`);
  const bytes = Buffer.from(payload, 'base64');
  const signed = preAuthEncoding(payloadType, bytes);
  for (const { sig } of signatures) {
    const signature = Buffer.from(sig, 'base64');
    const key = keys.find((each) => each.verifies(signed, signature));
    if (key !== undefined) return { payload: bytes, key };
  }
  const named = signatures.map(({ keyid }) => keyid).join(', ');
  throw new EnvelopeError(`is not signed by ${keys.map(({ id }) => id).join(' or ')}: it names ${named}`);
}
