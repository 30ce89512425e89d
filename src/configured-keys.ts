import { readFile } from 'node:fs/promises';
import type { DataFolder } from './blobs/data-folder.ts';
import { type Config, ConfigError } from './config.ts';
import { KeyError, readSigningKey, type SigningKey } from './core/signing-key.ts';
import type { SigningKeys } from './usecases/services.ts';

/** The key that signs: the configured one, or the data folder's. @throws ConfigError */
export async function configuredKeys({ attestationKey }: Config, folder: DataFolder): Promise<SigningKeys> {
  if (attestationKey !== null) {
    const key = await configuredKey(attestationKey);
    return { current: () => key, replace: null };
  }
  let key = keyOf(folder.attestationKey, `${folder.dir}/attestation.pem`);
  return {
    current: () => key,
    async replace() {
      key = readSigningKey(await folder.replaceAttestationKey());
      return key;
    },
  };
}

/** @param value PEM, or the path of a file with it @throws ConfigError */
export async function configuredKey(value: string): Promise<SigningKey> {
  const name = 'ARTIFACT_STORE_ATTESTATION_KEY';
  if (value.startsWith('-----BEGIN ')) return keyOf(value, name);
  try {
    return keyOf(await readFile(value, 'utf8'), `${name}: ${value}`);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`${name}: ${value} cannot be read (${(error as Error).message}).`);
  }
}

function keyOf(pem: string, where: string): SigningKey {
  try {
    return readSigningKey(pem);
  } catch (error) {
    if (!(error instanceof KeyError)) throw error;
    throw new ConfigError(`${where} ${error.message}: \`openssl genpkey -algorithm ed25519\` makes one.`);
  }
}
