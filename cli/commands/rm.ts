import { defineVerb } from '../command.ts';
import { parseFilled, parseReason } from '../view/options.ts';

interface Options {
  reason: string;
  path?: string;
}

export const rm = defineVerb<Options>({
  name: 'rm',
  summary: 'delete a package that may be deleted, or files of one',
  description:
    'Deletes a package that has expired or was never finalized, and has no hold. A tombstone stays. With --path, only files of a finalized package are removed, when a file rule of the package says that their time is over: all that match or none. Their list in the manifest stays. Stored bytes are removed only by a sweep, when nothing else needs them.',
  examples: [
    'rm PACKAGE --reason "expired"',
    'rm PACKAGE --path \'artifacts/**\' --reason "raw artifacts are kept 30 days"',
  ],
  client: true,
  continues: 'Run the same command again: what was removed stays removed.',
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [
    { flags: '--reason <text>', description: 'why; kept forever', required: true, parse: parseReason },
    {
      flags: '--path <glob>',
      description: 'only files that match; ** spans folders; exit 3 if none matches',
      parse: parseFilled,
    },
  ],
  async run(context, [named = ''], { reason, path: glob }) {
    const { findPackage } = await import('../view/find-package.ts');
    const client = await context.client();
    const found = await findPackage(client, named);
    if (glob === undefined) {
      const pkg = await client.deletePackage(found.id, reason);
      return { json: pkg, text: `${pkg.id} is deleted; its tombstone stays.` };
    }
    const [{ removeFiles }, { removalText }] = await Promise.all([
      import('../client/remove-files.ts'),
      import('../view/removal-text.ts'),
    ]);
    const removal = await removeFiles(client, found, { glob, reason }, (report) => context.out.progress(report));
    return { json: removal, text: removalText(removal) };
  },
});
