import { defineVerb } from '../command.ts';

export const retention = defineVerb({
  name: 'retention',
  summary: 'show how long a package is kept, and why',
  description: 'Shows the expiry of a package, its holds, and every decision ever made about both.',
  examples: ['retention run-20260513T210255Z'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  async run(context, [named = '']) {
    const { findPackage } = await import('../view/find-package.ts');
    const { retentionLines } = await import('../view/retention-lines.ts');
    const { alignLines } = await import('../view/lines.ts');
    const client = await context.client();
    const found = await client.retention((await findPackage(client, named)).id);
    return { json: found, text: alignLines(retentionLines(found, Date.now())) };
  },
});
