import { defineVerb } from '../command.ts';
import { parseReason } from '../view/options.ts';

interface Options {
  reason?: string;
}

export const shareRevoke = defineVerb<Options>({
  name: 'share revoke',
  summary: 'end a link now',
  description:
    'Revokes a share: from now on its link shows nothing. A report that somebody has open may load its own files for up to ten minutes. Of a leaked link the id stands in the link itself: shr_ and the 32 digits after artsh_.',
  examples: ['share revoke shr_0198f3a1b2c47d5e8f90a1b2c3d4e5f6 --reason "sent to the wrong person"'],
  client: true,
  arguments: [{ name: 'SHARE', description: 'its id, as share ls shows it' }],
  options: [{ flags: '--reason <text>', description: 'why; kept forever', parse: parseReason }],
  async run(context, [id = ''], { reason }) {
    const client = await context.client();
    const share = await client.access.revokeShare(id, reason);
    return { json: share, text: `${share.id} is revoked.` };
  },
});
