import type { Registry } from '../registry/registry.ts';

/** What the service asks of those who come without a bearer. */
export interface Openness {
  /** Nothing: there is no admin token, and there are no others. */
  isOpen(): Promise<boolean>;
  /** Whether tokens are in use beside the admin token: one was made once, on any replica, or another kind is configured. */
  hasTokens(): Promise<boolean>;
  /** As it was last seen, for when the registry does not answer. */
  hadTokens(): boolean;
}

/** @param others whether bearers of another kind are configured, beside the admin token and the tokens of the API */
export function openness(registry: Registry, hasAdminToken: boolean, others = false): Openness {
  // Rows of tokens are never removed: what was true once stays true.
  let known = others;
  const hasTokens = async (): Promise<boolean> => {
    known ||= await registry.read.apiTokens.any();
    return known;
  };
  return {
    isOpen: async () => !hasAdminToken && !(await hasTokens()),
    hasTokens,
    hadTokens: () => known,
  };
}
