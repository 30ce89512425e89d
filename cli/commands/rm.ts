import { defineVerb } from '../command.ts';
import { parseReason } from '../view/options.ts';

interface Options {
  reason: string;
}

export const rm = defineVerb<Options>({
  name: 'rm',
  summary: 'delete a package that may be deleted',
  description:
    'Deletes a package that has expired, or was never finalized, and that nobody holds. A tombstone stays; stored bytes go only when nothing else needs them, by a sweep.',
  examples: ['rm PACKAGE --reason "expired"'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [{ flags: '--reason <text>', description: 'why; kept for ever', required: true, parse: parseReason }],
  async run(context, [named = ''], { reason }) {
    const { findPackage } = await import('../view/find-package.ts');
    const client = await context.client();
    const pkg = await client.deletePackage((await findPackage(client, named)).id, reason);
    return { json: pkg, text: `${pkg.id} is deleted; its tombstone stays.` };
  },
});
