import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { DIRECTORY_OPTIONS, type DirectoryValues } from '../push-options.ts';
import { parseFilled } from '../view/options.ts';

interface Options extends DirectoryValues {
  against?: string;
}

export const verify = defineVerb<Options>({
  name: 'verify',
  summary: 'read a package again and check every digest',
  description:
    "Reads every file of a package through the service and hashes it, and checks the manifest against the package's manifest digest. With --against, the directory must contain the same files too. Everything that does not match is listed, and the exit code is 5. Files that were removed from the package when their time was over are counted apart; the directory need not have them.",
  examples: ['verify PACKAGE', 'verify PACKAGE --against ./results'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id' }],
  options: [
    {
      flags: '--against <dir>',
      description: 'also compare with this directory',
      completes: 'folder',
      parse: parseFilled,
    },
    ...DIRECTORY_OPTIONS,
  ],
  async run(context, [named = ''], { against, ...options }) {
    if (against === undefined && options.exclude !== undefined) {
      throw usageError('--exclude needs a directory: add --against.');
    }
    const [{ verifyPackage }, { findPackage }, { verifyOutcome }] = await Promise.all([
      import('../client/pull/verify.ts'),
      import('../view/find-package.ts'),
      import('../view/verify-lines.ts'),
    ]);
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const verification = await verifyPackage(client, pkg, (report) => context.out.progress(report));
    if (against === undefined) return verifyOutcome(pkg, verification, null);
    const { compareDirectory } = await import('../client/compare-directory.ts');
    const note = (text: string): void => context.out.note(text);
    return verifyOutcome(pkg, verification, await compareDirectory(client, pkg, against, options, note));
  },
});
