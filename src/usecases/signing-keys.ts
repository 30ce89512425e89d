import { publicKeyKey } from '../blobs/key-layout.ts';
import { StoreError } from '../core/errors.ts';
import { type PublicKey, readPublicKey, type SigningKey } from '../core/signing-key.ts';
import type { SigningKeyRecord } from '../registry/signing-keys.ts';
import { onePiece } from './one-piece.ts';
import { recordChange } from './record-change.ts';
import type { Caller, Services, WithObjects } from './services.ts';

/** The key that signs now. It is known for ever before it signs anything. @throws StoreError unavailable, … of storage */
export async function signingKey(services: Services<WithObjects>): Promise<SigningKey> {
  const key = services.keys.current();
  await makeKnown(services, key.publicKey);
  return key;
}

/** Every key that signed, the oldest first; and which one signs here. */
export async function listKeys(
  services: Services<WithObjects>,
): Promise<{ keys: SigningKeyRecord[]; current: string }> {
  const { publicKey } = await signingKey(services);
  return { keys: await services.registry.read.signingKeys.list(), current: publicKey.id };
}

/**
 * From now on another key signs; what the old one has signed stays valid. After a crash in between, the old one may stand as if it were
 * in use. @throws StoreError key_configured
 */
export async function rotateKey(services: Services<WithObjects>, caller: Caller): Promise<SigningKeyRecord> {
  const { keys, registry } = services;
  if (keys.replace === null) {
    throw new StoreError(
      'key_configured',
      'The key is that of ARTIFACT_STORE_ATTESTATION_KEY: name another one there, and restart the service. What the old one has signed stays valid.',
    );
  }
  const old = keys.current().publicKey;
  await makeKnown(services, old);
  const { publicKey } = await keys.replace();
  await makeKnown(services, publicKey);
  return registry.transaction(async (tables) => {
    const now = await tables.now();
    await tables.signingKeys.retire(old.id, now);
    const detail = { key_id: publicKey.id, retired: old.id };
    await recordChange(tables, caller, { at: now, action: 'key.rotated', package_id: null, detail });
    return (await tables.signingKeys.get(publicKey.id)) as SigningKeyRecord;
  });
}

/** Whose signatures count. */
export async function knownKeys({ registry }: Pick<Services, 'registry'>): Promise<PublicKey[]> {
  return (await registry.read.signingKeys.list()).map(({ pem }) => readPublicKey(pem));
}

/** In storage first: whoever finds it in the registry need not look there. */
async function makeKnown({ registry, blobs }: Services<WithObjects>, { id, pem }: PublicKey): Promise<void> {
  if ((await registry.read.signingKeys.get(id)) !== null) return;
  await blobs.objects.write(publicKeyKey(id), onePiece(Buffer.from(pem)));
  await registry.transaction(async ({ signingKeys, now }) => signingKeys.add([{ id, pem, since: await now() }]));
}
