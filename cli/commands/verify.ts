import { defineVerb } from '../command.ts';

interface Options {
  against?: string;
}

export const verify = defineVerb<Options>({
  name: 'verify',
  summary: 'read a package again and check every digest',
  description:
    "Reads every file of a package through the service and hashes it, and holds the manifest against the package's own manifest digest. With --against the directory must hold the same files too. What does not match is named, and the exit code is 5.",
  examples: ['verify PACKAGE', 'verify PACKAGE --against ./results'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id' }],
  options: [{ flags: '--against <dir>', description: 'compare with this directory too', completes: 'folder' }],
  async run(context, [named = ''], { against }) {
    const [{ verifyPackage }, { findPackage }, { verifyOutcome }] = await Promise.all([
      import('../client/verify.ts'),
      import('../view/find-package.ts'),
      import('../view/verify-lines.ts'),
    ]);
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const verification = await verifyPackage(client, pkg, (report) => context.out.progress(report));
    if (against === undefined) return verifyOutcome(pkg, verification, null);
    const { compareDirectory } = await import('../client/compare-directory.ts');
    const how = { symlinks: 'refuse', special: 'refuse' } as const;
    return verifyOutcome(pkg, verification, await compareDirectory(client, pkg, against, how));
  },
});
