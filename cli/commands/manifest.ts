import { defineVerb } from '../command.ts';
import { CliError, EXIT } from '../errors.ts';

interface Options {
  format: 'json' | 'sha256sum';
}

export const manifest = defineVerb<Options>({
  name: 'manifest',
  summary: "write a package's manifest, byte for byte",
  description:
    'Writes the manifest of a finalized package to stdout: the exact bytes whose SHA-256 is its manifest digest, which is checked before they are written. Or it writes the list that `sha256sum -c` reads.',
  examples: ['manifest run-20260513T210255Z > manifest.json', 'manifest PACKAGE --format sha256sum | sha256sum -c'],
  client: true,
  json: false,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [
    { flags: '--format <format>', description: 'what to write', choices: ['json', 'sha256sum'], default: 'json' },
  ],
  async run(context, [named = ''], { format }) {
    const { findPackage } = await import('../view/find-package.ts');
    const { digestOf } = await import('../../src/core/digest.ts');
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const bytes = await client.manifest(pkg, format);
    if (format === 'json' && digestOf(bytes) !== pkg.manifest_digest) {
      throw new CliError(`The manifest of ${pkg.id} is ${digestOf(bytes)}, and should be ${pkg.manifest_digest}.`, {
        exit: EXIT.integrity,
        code: 'digest_mismatch',
        extras: { digest: digestOf(bytes), expected: pkg.manifest_digest },
      });
    }
    await context.out.write(bytes);
    return undefined;
  },
});
