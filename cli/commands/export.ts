import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  bundle: string;
}

export const exportPackage = defineVerb<Options>({
  name: 'export',
  summary: 'write a package and its proofs into one tar file',
  description:
    'Writes a finalized package into one tar file that needs nothing else: its files, the attestation, the manifest, the public keys, the proof that the audit log has it, and a text that says how to check it all, with this command line or by hand. Every byte is checked on the way. The file gets its name when it is whole; one that exists is never replaced (exit 4). The same package gives the same bytes. While it is written, it takes twice the space.',
  examples: ['export PACKAGE --bundle run.tar', 'export run-20260513T210255Z --bundle /media/usb/run.tar --json'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id' }],
  options: [
    {
      flags: '--bundle <file>',
      description: 'the tar file',
      required: true,
      completes: 'file',
      parse: parseFilled,
    },
  ],
  async run(context, [named = ''], { bundle }) {
    const [{ exportBundle }, { readProofs }, { findPackage }, { countOf, formatBytes }] = await Promise.all([
      import('../client/pull/bundle.ts'),
      import('../client/pull/proofs.ts'),
      import('../view/find-package.ts'),
      import('../format.ts'),
    ]);
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const options = { file: bundle, proofs: await readProofs(client, pkg) };
    const result = await exportBundle(client, pkg, options, (report) => context.out.progress(report));
    const { files, bytes, size, digest, key_id } = result;
    const text = [
      `${pkg.id}: ${countOf(files, 'file')}, ${formatBytes(bytes)}, every byte checked, in ${JSON.stringify(bundle)} (${formatBytes(size)}).`,
      `  bundle  ${digest}`,
      `  key     ${key_id}`,
      ...(result.log
        ? []
        : ['It has no proof of the log: the registry has lost the event, or the service has no log.']),
      'Its README.txt says how to check it. Give the id of the key to whoever does, over another channel.',
    ].join('\n');
    return { json: { package_id: pkg.id, manifest_digest: pkg.manifest_digest, bundle, ...result }, text };
  },
});
