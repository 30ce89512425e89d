import { defineVerb } from '../command.ts';
import { parseReason } from '../view/options.ts';

interface Options {
  reason?: string;
}

export const tokenRevoke = defineVerb<Options>({
  name: 'token revoke',
  summary: 'end a token now',
  description:
    'Revokes a token: from now on it opens nothing. Signed URLs that it was given work until they expire. Of a leaked token the id stands in the token itself: tok_ and the 32 digits after arts_.',
  examples: ['token revoke tok_0198f3a1b2c47d5e8f90a1b2c3d4e5f6 --reason "leaked in a build log"'],
  client: true,
  arguments: [{ name: 'TOKEN', description: 'its id, as token ls shows it' }],
  options: [{ flags: '--reason <text>', description: 'why; kept forever', parse: parseReason }],
  async run(context, [id = ''], { reason }) {
    const { printable } = await import('../format.ts');
    const client = await context.client();
    const token = await client.access.revokeToken(id, reason);
    return { json: token, text: `${token.id} (${printable(token.name)}) is revoked.` };
  },
});
