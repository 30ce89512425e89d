/** What a credential may do. Which of them a route needs stands in src/http/route-scopes.ts. */
export const SCOPES = [
  'packages:read',
  'packages:write',
  'retention:write',
  'packages:delete',
  'packages:share',
  'operator',
  'audit:read',
  'webhooks:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** What a credential allows. */
export interface Grant {
  actor: string;
  scopes: readonly Scope[];
  /** null: every producer */
  producers: readonly string[] | null;
}

/** The rights of the admin token, and of everybody where there is no token at all. */
export function everything(actor: string): Grant {
  return { actor, scopes: SCOPES, producers: null };
}

export function isScope(text: string): text is Scope {
  return (SCOPES as readonly string[]).includes(text);
}

/**
 * Whether the grant has the scope. An operator acts on the whole store: with a limit to producers, the scope allows nothing.
 */
export function allows(grant: Pick<Grant, 'scopes' | 'producers'>, scope: Scope): boolean {
  return grant.scopes.includes(scope) && (scope !== 'operator' || grant.producers === null);
}

/** Why no credential can have these, as half a sentence; null when one can. */
export function grantProblem({ scopes, producers }: Pick<Grant, 'scopes' | 'producers'>): string | null {
  if (scopes.length === 0) return 'has no scope';
  if (producers !== null && producers.length === 0) return 'is limited to no producer at all';
  if (producers !== null && scopes.includes('operator')) {
    return 'has the scope operator, which acts on the whole store, and a limit to producers';
  }
  return null;
}

/** Whether a grant is within another: whoever hands one out can give no more than it has. */
export function isWithin(
  inner: Pick<Grant, 'scopes' | 'producers'>,
  outer: Pick<Grant, 'scopes' | 'producers'>,
): boolean {
  if (!inner.scopes.every((scope) => allows(outer, scope))) return false;
  const { producers } = outer;
  return producers === null || (inner.producers?.every((producer) => producers.includes(producer)) ?? false);
}
