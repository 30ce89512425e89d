import { defineVerb } from '../command.ts';
import { DIRECTORY_OPTIONS, type DirectoryValues } from '../push-options.ts';

export const diff = defineVerb<DirectoryValues>({
  name: 'diff',
  summary: 'compare a package with a directory',
  description:
    'Compares by path and bytes: + is in the directory only, - in the package only, ~ in both with other bytes. As diff(1): exit 0 when they are equal, 1 when they differ.',
  examples: ['diff PACKAGE ./results', "diff PACKAGE ./results --exclude '*.tmp'"],
  client: true,
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id' },
    { name: 'DIR', description: 'the directory', completes: 'folder' },
  ],
  options: DIRECTORY_OPTIONS,
  async run(context, [named = '', directory = ''], options) {
    const [{ compareDirectory }, { diffOutcome }, { findPackage }] = await Promise.all([
      import('../client/compare-directory.ts'),
      import('../view/diff-lines.ts'),
      import('../view/find-package.ts'),
    ]);
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const note = (text: string): void => context.out.note(text);
    return diffOutcome(pkg.id, await compareDirectory(client, pkg, directory, options, note));
  },
});
