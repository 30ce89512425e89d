import { createReadStream } from 'node:fs';
import { EnvelopeError, parseEnvelope } from '../../../src/core/dsse.ts';
import { KeyError, type PublicKey, readPublicKey } from '../../../src/core/signing-key.ts';
import { ENVELOPE_MAX_BYTES, openStatement, type Statement } from '../../../src/core/statement.ts';
import { CliError, EXIT, usageError } from '../../errors.ts';
import { printable } from '../../format.ts';

const KEY_MAX_BYTES = 64 * 1024;
const MESSAGE_MAX = 1_000;

/** @param files of one public key each, in PEM @throws CliError wrong_usage, naming the file that holds none */
export async function readKeys(files: readonly string[]): Promise<PublicKey[]> {
  const keys: PublicKey[] = [];
  for (const file of files) {
    const pem = await readBounded('--key', file, KEY_MAX_BYTES);
    try {
      keys.push(readPublicKey(pem.toString('latin1')));
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      throw usageError(`--key: ${JSON.stringify(file)} ${error.message}.`, HOW_KEYS);
    }
  }
  return keys;
}

/**
 * What one of these keys has signed. Nothing of it is looked at before.
 * @throws CliError wrong_usage when there is no such file; attestation_invalid
 */
export async function readAttestation(
  file: string,
  keys: readonly PublicKey[],
): Promise<{ statement: Statement; key: PublicKey }> {
  const bytes = await readBounded('--attestation', file, ENVELOPE_MAX_BYTES);
  try {
    return openStatement(parseEnvelope(bytes), keys);
  } catch (error) {
    if (!(error instanceof EnvelopeError)) throw error;
    // It quotes what nobody has signed.
    throw invalidAttestation(file, printable(error.message).slice(0, MESSAGE_MAX), { cause: error });
  }
}

/** @param problem half a sentence */
export function invalidAttestation(file: string, problem: string, { cause }: { cause?: unknown } = {}): CliError {
  return new CliError(`The attestation ${JSON.stringify(file)} ${problem}.`, {
    exit: EXIT.integrity,
    code: 'attestation_invalid',
    next: 'Nothing that it says can be relied on. Take it, and the key, from where you trust them.',
    extras: { attestation: file },
    cause,
  });
}

/** @param option as it was given, for messages @throws CliError wrong_usage */
export async function readBounded(option: string, file: string, most: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of readChunks(option, file)) {
    size += chunk.length;
    if (size > most) throw usageError(`${option}: ${JSON.stringify(file)} has more than ${most} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A file's bytes as they come. @param option as it was given, for messages @throws CliError wrong_usage */
export async function* readChunks(option: string, file: string): AsyncGenerator<Buffer> {
  const stream = createReadStream(file);
  try {
    yield* stream as AsyncIterable<Buffer>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${message}`;
    throw usageError(`${option}: ${JSON.stringify(file)} ${why}.`);
  } finally {
    stream.destroy();
  }
}

const HOW_KEYS = 'It takes the public key of the service in PEM, as `artifact-store keys export` writes it.';
