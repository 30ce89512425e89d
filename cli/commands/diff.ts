import { defineVerb } from '../command.ts';

interface Options {
  symlinks: 'refuse' | 'skip' | 'follow';
  special: 'refuse' | 'skip';
}

export const diff = defineVerb<Options>({
  name: 'diff',
  summary: 'compare a package with a directory',
  description:
    'Compares by path and bytes: + is in the directory only, - in the package only, ~ in both with other bytes. As diff(1): exit 0 when they are equal, 1 when they differ.',
  examples: ['diff PACKAGE ./results'],
  client: true,
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id' },
    { name: 'DIR', description: 'the directory', completes: 'folder' },
  ],
  options: [
    { flags: '--symlinks <how>', description: 'as push', choices: ['refuse', 'skip', 'follow'], default: 'refuse' },
    { flags: '--special <how>', description: 'as push', choices: ['refuse', 'skip'], default: 'refuse' },
  ],
  async run(context, [named = '', directory = ''], { symlinks, special }) {
    const [{ compareDirectory }, { countDifferences, differenceLines }, { findPackage }, { EXIT }, { printable }] =
      await Promise.all([
        import('../client/compare-directory.ts'),
        import('../client/compare.ts'),
        import('../view/find-package.ts'),
        import('../errors.ts'),
        import('../format.ts'),
      ]);
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const differences = await compareDirectory(client, pkg, directory, { symlinks, special });
    const equal = countDifferences(differences) === 0;
    return {
      json: { package_id: pkg.id, equal, ...differences },
      text: equal ? 'Equal.' : differenceLines(differences, Number.POSITIVE_INFINITY).map(printable).join('\n'),
      exit: equal ? EXIT.done : EXIT.failed,
    };
  },
});
