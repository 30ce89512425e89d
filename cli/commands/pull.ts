import { defineVerb } from '../command.ts';
import { parseCount } from '../view/options.ts';

interface Options {
  path?: string;
  preserve?: boolean;
  parallel?: number;
  attestation?: string;
}

export const pull = defineVerb<Options>({
  name: 'pull',
  summary: "write a package's files into a directory",
  description:
    'Writes the files of a package below DIR and checks every byte against its digest. Restores the executable bit. An existing file with the same bytes is skipped, except for that bit; one with different bytes is never replaced, and nothing is written outside DIR (exit 4). If the stored bytes of a file do not match, it is not written; all other files are (exit 5; --json lists every damaged file). Files that were removed from the package when their time was over are left out, with a note. To resume an interrupted pull, run it again. --attestation also writes what the service signed of the package: with it anybody can check the directory later, without the service.',
  examples: [
    'pull PACKAGE ./copy',
    "pull PACKAGE ./copy --path 'reports/**' --preserve",
    'pull PACKAGE ./copy --attestation copy.attestation.json',
  ],
  client: true,
  continues: 'Run the same command again: it continues where it stopped.',
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id' },
    { name: 'DIR', description: 'created if it does not exist', completes: 'folder' },
  ],
  options: [
    { flags: '--path <glob>', description: 'only paths that match; ** spans folders; exit 3 if none matches' },
    { flags: '--preserve', description: 'also restore modification times' },
    {
      flags: '--attestation <file>',
      description: 'also write the signed attestation there; never replaces another one',
      completes: 'file',
    },
    { flags: '--parallel <n>', description: 'connections (8)', parse: parseCount },
  ],
  async run(context, [named = '', directory = ''], { path: glob, preserve, parallel, attestation }) {
    const [{ pullPackage }, { findPackage }, { countOf, formatBytes }] = await Promise.all([
      import('../client/pull/pull.ts'),
      import('../view/find-package.ts'),
      import('../format.ts'),
    ]);
    const client = await context.client();
    const pkg = await findPackage(client, named);
    if (attestation !== undefined) {
      // First: what cannot be had, or written there, is said before anything is pulled.
      const { saveSmallFile } = await import('../client/target/small-file.ts');
      await saveSmallFile(attestation, await client.attestation(pkg.id));
    }
    const options = { directory, glob, preserve, parallel };
    const result = await pullPackage(client, pkg, options, (report) => context.out.progress(report));
    const { files, bytes, skipped, resumed_bytes: resumed, made_executable: marked } = result;
    const there = skipped === 0 ? '' : `; ${countOf(skipped, 'file')} there already`;
    const made = marked === 0 ? '' : `, ${countOf(marked, 'of them', 'of them')} made executable`;
    const before = resumed === 0 ? '' : `; ${formatBytes(resumed)} were left by an earlier pull`;
    if (result.deleted > 0) {
      const are = result.deleted === 1 ? 'was' : 'were';
      context.out.note(
        `${countOf(result.deleted, 'file')} of the package ${are} removed when their time was over, and cannot be pulled.`,
      );
    }
    const text = `Pulled ${countOf(files, 'file')}, ${formatBytes(bytes)}, every byte checked${before}${there}${made}.`;
    const saved = attestation === undefined ? '' : `\nWrote the attestation to ${attestation}.`;
    const json = {
      package_id: pkg.id,
      manifest_digest: pkg.manifest_digest,
      directory,
      ...(attestation === undefined ? {} : { attestation }),
      ...result,
    };
    return { json, text: text + saved };
  },
});
