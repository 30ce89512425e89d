import type { ObjectReader } from '../blobs/blob-store.ts';
import { KEYS_PREFIX, publicKeyKey } from '../blobs/key-layout.ts';
import { KeyError, readPublicKey } from '../core/signing-key.ts';
import type { Registry } from '../registry/registry.ts';
import { readSmall } from './read-small.ts';

/** A key in PEM has some 113. */
const KEY_MAX_BYTES = 4_096;

/** The public keys that stand in the store are those of the registry, too. What is no key under its own name is left alone. */
export async function takeKeys({ registry, objects }: { registry: Registry; objects: ObjectReader }): Promise<void> {
  const found: Array<{ id: string; pem: string }> = [];
  for await (const { key, versionId } of objects.list(KEYS_PREFIX)) {
    const bytes = await readSmall(objects, key, KEY_MAX_BYTES, versionId);
    try {
      const { id, pem } = readPublicKey(bytes.toString('utf8'));
      if (publicKeyKey(id) === key) found.push({ id, pem });
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
    }
  }
  await registry.transaction(async ({ signingKeys, now }) => {
    const since = await now();
    await signingKeys.add(found.map((each) => ({ ...each, since })));
  });
}
