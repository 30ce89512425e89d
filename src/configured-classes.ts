import { readFile } from 'node:fs/promises';
import { type Config, ConfigError, parseRetentionClasses } from './config.ts';
import { DEFAULT_RETENTION_CLASSES, type RetentionClasses } from './core/retention.ts';

/** The retention classes that the configuration names. @throws ConfigError */
export async function configuredClasses(config: Config): Promise<RetentionClasses> {
  const file = config.retentionClassesFile;
  if (file === null) return DEFAULT_RETENTION_CLASSES;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new ConfigError(`ARTIFACT_STORE_RETENTION_CLASSES: ${file} cannot be read (${(error as Error).message}).`);
  }
  return parseRetentionClasses(text, file);
}
