import { readFile } from 'node:fs/promises';
import { type Config, ConfigError } from './config.ts';
import { type AllLimits, DEFAULT_ALL_LIMITS, parseLimits } from './limits-file.ts';

/** The limits that the configuration names. @throws ConfigError */
export async function configuredLimits({ limitsFile: file }: Config): Promise<AllLimits> {
  if (file === null) return DEFAULT_ALL_LIMITS;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`ARTIFACT_STORE_LIMITS: ${file} cannot be read (${(error as Error).message}).`);
  }
  return parseLimits(text, file);
}
