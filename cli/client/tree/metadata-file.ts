import { readFile } from 'node:fs/promises';
import type { JsonObject } from '../../../src/core/canonical-json.ts';
import { parseJson } from '../../../src/core/parse-json.ts';
import { usageError } from '../../errors.ts';

/** @throws CliError wrong_usage, naming the file */
export async function readMetadata(file: string): Promise<JsonObject> {
  let value: unknown;
  try {
    value = parseJson(await readFile(file, 'utf8'));
  } catch (error) {
    throw usageError(
      `The metadata file ${JSON.stringify(file)} cannot be used: ${(error as Error).message.replace(/\s+/g, ' ')}.`,
    );
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw usageError(`The metadata file ${JSON.stringify(file)} does not hold a JSON object.`);
}
