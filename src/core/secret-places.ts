import type { JsonObject } from './canonical-json.ts';
import { SECRETS_MEMBER, type SecretPlace } from './secret-record.ts';

/** What is recorded of secrets in one file. */
export interface FileSecrets {
  places: ReadonlyArray<Pick<SecretPlace, 'line' | 'kind' | 'accepted'>>;
  /** The record names no places, or not all: there may be more. */
  incomplete: boolean;
}

/** What was found in a file when its package was pushed, as its metadata has it, of whatever shape that is. */
export function secretsOfFile(metadata: JsonObject, path: string): FileSecrets {
  const record = metadata[SECRETS_MEMBER];
  if (!isObject(record)) return { places: [], incomplete: false };
  const list: readonly unknown[] = Array.isArray(record.places) ? record.places : [];
  const named = list.filter(isPlace);
  const places = named.filter((place) => place.path === path);
  return { places, incomplete: typeof record.count === 'number' && record.count > named.length };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isPlace(value: unknown): value is SecretPlace {
  return (
    isObject(value) &&
    typeof value.path === 'string' &&
    Number.isSafeInteger(value.line) &&
    typeof value.kind === 'string' &&
    typeof value.accepted === 'boolean'
  );
}
