import { defineVerb } from '../command.ts';

export const show = defineVerb({
  name: 'show',
  summary: 'show a package',
  description:
    'Shows a package: what it is, how long it is kept, and its holds; for a guide-board run also its result, evidence and finding counts, score, commits and reports.',
  examples: ['show run-20260513T210255Z', 'show pkg_0199a2b3c4d57e8f90123456789abcde --json'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  async run(context, [named = '']) {
    const { findPackage } = await import('../view/find-package.ts');
    const { activeHolds, packageLines } = await import('../view/package-lines.ts');
    const { alignLines } = await import('../view/lines.ts');
    const { printable } = await import('../format.ts');
    const { bold } = await import('../text.ts');
    const client = await context.client();
    const found = await findPackage(client, named);
    // Lists do not have all of it.
    const [pkg, { holds }, { url }] = await Promise.all([
      found.file_rules === undefined ? client.getPackage(found.id) : found,
      client.retention(found.id),
      client.link(found.id),
    ]);
    const active = activeHolds(holds);
    const lines = packageLines(pkg, active, url, Date.now());
    return {
      json: { ...pkg, url, holds: active },
      text: [bold(printable(pkg.name)), '\n', ...alignLines(lines)],
    };
  },
});
