import { isId, type TokenId } from './ids.ts';
import { tokenForm } from './token-form.ts';

/** A token of the API. */
export const API_TOKEN = tokenForm<TokenId>('arts_', 'tok');

/** How a token stands in the audit: its name, and its id, which nobody else's name can be. */
export function actorOfToken({ id, name }: { id: TokenId; name: string }): string {
  return `token:${name}:${id}`;
}

/** The id in it; null: the actor is no token of the API. */
export function tokenOfActor(actor: string): TokenId | null {
  const id = actor.startsWith('token:') ? actor.slice(actor.lastIndexOf(':') + 1) : '';
  return isId('tok', id) ? (id as TokenId) : null;
}
