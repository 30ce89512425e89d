import type { Check } from '../usecases/diagnose.ts';

export type { Check };

export function ok(name: string, says: string): Check {
  return { name, level: 'ok', says, advice: null };
}

export function note(name: string, says: string, advice: string | null = null): Check {
  return { name, level: 'note', says, advice };
}

export function warning(name: string, says: string, advice: string): Check {
  return { name, level: 'warning', says, advice };
}

export function failure(name: string, says: string, advice: string | null): Check {
  return { name, level: 'failure', says, advice };
}

/** What a check found, or that it could not be carried out: one that fails keeps no other from being told. */
export async function attempt(name: string, work: () => Promise<Check[]> | Check[], advice: string): Promise<Check[]> {
  try {
    return await work();
  } catch (error) {
    return [failure(name, messageOf(error), advice)];
  }
}

export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.endsWith('.') ? message : `${message}.`;
}
