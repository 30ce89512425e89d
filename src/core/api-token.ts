import type { TokenId } from './ids.ts';
import { tokenForm } from './token-form.ts';

/** A token of the API. */
export const API_TOKEN = tokenForm<TokenId>('arts_', 'tok');

/** How a token stands in the audit: its name, and its id, which nobody else's name can be. */
export function actorOfToken({ id, name }: { id: TokenId; name: string }): string {
  return `token:${name}:${id}`;
}
