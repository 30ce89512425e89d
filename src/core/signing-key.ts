import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';

/** A public Ed25519 key (RFC 8032), which checks signatures. */
export interface PublicKey {
  /** SHA-256, in hex, of its SubjectPublicKeyInfo (RFC 8410) in DER: `openssl pkey -pubin -outform DER | sha256sum`. */
  readonly id: string;
  /** SubjectPublicKeyInfo, as `openssl pkey -pubin` reads it. */
  readonly pem: string;
  /** The key itself, 32 bytes. */
  readonly raw: Buffer;
  verifies(message: Uint8Array, signature: Uint8Array): boolean;
}

export interface SigningKey {
  readonly publicKey: PublicKey;
  /** @returns 64 bytes; the same for the same message */
  sign(message: Uint8Array): Buffer;
}

/** That is no key, or none of the kind; `message` says so. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

const RAW_SIZE = 32;

/** @param pem SubjectPublicKeyInfo @throws KeyError */
export function readPublicKey(pem: string): PublicKey {
  return publicKeyOf(ed25519(() => createPublicKey(pem), 'a public key'));
}

/** @param raw the 32 bytes of the key @throws KeyError */
export function publicKeyFromRaw(raw: Uint8Array): PublicKey {
  const x = Buffer.from(raw).toString('base64url');
  return publicKeyOf(
    ed25519(() => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }), 'a public key'),
  );
}

/** @param pem PKCS #8, as `openssl genpkey -algorithm ed25519` writes it @throws KeyError */
export function readSigningKey(pem: string): SigningKey {
  const key = ed25519(() => createPrivateKey(pem), 'a private key');
  return { publicKey: publicKeyOf(createPublicKey(key)), sign: (message) => sign(null, message, key) };
}

function publicKeyOf(key: KeyObject): PublicKey {
  const der = key.export({ type: 'spki', format: 'der' });
  return {
    id: createHash('sha256').update(der).digest('hex'),
    pem: key.export({ type: 'spki', format: 'pem' }) as string,
    raw: der.subarray(der.length - RAW_SIZE),
    verifies: (message, signature) => verify(null, message, key, signature),
  };
}

function ed25519(read: () => KeyObject, what: string): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    throw new KeyError(`is not ${what} in PEM`, { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw new KeyError(`is ${what} of the kind ${key.asymmetricKeyType}, not Ed25519`);
  return key;
}
