import type { ShareId } from './ids.ts';
import { tokenForm } from './token-form.ts';

/** What a share link has in its path. */
export const SHARE_TOKEN = tokenForm<ShareId>('artsh_', 'shr');

/** Who reads by a share, in what the service notes of it. */
export function actorOfShare(id: ShareId): string {
  return `share:${id}`;
}
