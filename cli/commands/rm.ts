import { defineVerb } from '../command.ts';
import { parseReason } from '../view/options.ts';

interface Options {
  reason: string;
}

export const rm = defineVerb<Options>({
  name: 'rm',
  summary: 'delete a package that may be deleted',
  description:
    'Deletes a package that has expired or was never finalized, and has no hold. A tombstone stays. Stored bytes are removed only by a sweep, when nothing else needs them.',
  examples: ['rm PACKAGE --reason "expired"'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [{ flags: '--reason <text>', description: 'why; kept forever', required: true, parse: parseReason }],
  async run(context, [named = ''], { reason }) {
    const { findPackage } = await import('../view/find-package.ts');
    const client = await context.client();
    const pkg = await client.deletePackage((await findPackage(client, named)).id, reason);
    return { json: pkg, text: `${pkg.id} is deleted; its tombstone stays.` };
  },
});
