import { defineVerb } from '../command.ts';
import { DIRECTORY_OPTIONS, type DirectoryValues } from '../push-options.ts';

export const diff = defineVerb<DirectoryValues>({
  name: 'diff',
  summary: 'compare a package with a directory',
  description:
    'Compares paths and bytes: + is only in the directory, - only in the package, ~ in both with different bytes. Like diff(1), it exits with 0 if they are equal and 1 if they differ.',
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
