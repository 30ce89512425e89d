import type { ArchiveKindName } from '../../src/core/archive-formats.ts';
import { type Context, defineVerb, type Outcome } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  bundle?: string;
  format?: ArchiveKindName;
  path?: string;
  portableNames?: boolean;
}

const ENDINGS = ['tar', 'tar.zst', 'zip'] as const satisfies readonly ArchiveKindName[];
const FORMATS = [...ENDINGS, 'bagit', 'bagit.tar'] as const satisfies readonly ArchiveKindName[];

export const exportPackage = defineVerb<Options>({
  name: 'export',
  summary: 'write a package into one archive, or with its proofs into a bundle',
  description:
    'Writes a finalized package, or the files that --path names, into one tar, tar.zst or zip file, or to stdout (-). Names, modes and times are kept; the service checks every file on the way, and a damaged one ends the command (exit 5) instead of being left out. The file gets its name when it is whole; one that exists is never replaced (exit 4). To resume an interrupted tar or zip, run it again. --format bagit writes a bag (RFC 8493) in a zip file, bagit.tar one in a tar file: the files under data/, with the manifest and the attestation among the tag files. With --bundle the tar file also has the attestation, the manifest, the public keys, the proof that the audit log has it, and a text that says how to check it all, with this command line or by hand; while it is written, it takes twice the space. The same package gives the same bytes, but for tar.zst.',
  examples: [
    'export PACKAGE run.zip',
    "export PACKAGE reports.tar.zst --path 'reports/**'",
    'export PACKAGE - --format tar | tar -xf - -C copy',
    'export PACKAGE run-bag.zip --format bagit',
    'export PACKAGE run.zip --portable-names --json',
    'export PACKAGE --bundle run.tar',
  ],
  client: true,
  continues: 'Run the same command again: a tar or zip file continues where it stopped.',
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id' },
    { name: 'FILE', description: 'the archive, or - for stdout', optional: true, completes: 'file' },
  ],
  options: [
    { flags: '--format <format>', description: "default by the file's ending; for stdout tar", choices: FORMATS },
    { flags: '--path <glob>', description: 'only paths that match; ** spans folders; exit 3 if none matches' },
    {
      flags: '--portable-names',
      description:
        'names that Windows can hold; artifact-store-notes.json in the archive lists those that were changed',
    },
    {
      flags: '--bundle <file>',
      description: 'a tar file with all that is needed to check it',
      completes: 'file',
      parse: parseFilled,
    },
  ],
  async run(context, [named = '', file], { bundle, format, path: glob, portableNames: portable = false }) {
    if (bundle === undefined) {
      if (file === undefined) throw usageError('Say where to: FILE, - for stdout, or --bundle FILE.');
      const choice = { format: format ?? formatOf(file), glob, portable };
      return file === '-' ? toStdout(context, named, choice) : toFile(context, named, file, choice);
    }
    if (file !== undefined || format !== undefined || glob !== undefined || portable)
      throw usageError('--bundle writes all of a package into a tar file: it goes with no FILE and no other option.');
    return toBundle(context, named, bundle);
  },
});

interface Choice {
  format: ArchiveKindName;
  glob: string | undefined;
  portable: boolean;
}

/** @throws CliError wrong_usage */
function formatOf(file: string): ArchiveKindName {
  if (file === '-') return 'tar';
  const found = ENDINGS.find((format) => file.toLowerCase().endsWith(`.${format}`));
  if (found !== undefined) return found;
  throw usageError(
    `The ending of ${JSON.stringify(file)} is not one of .tar, .tar.zst and .zip.`,
    'Say which it is with --format.',
  );
}

async function toFile(context: Context, named: string, file: string, choice: Choice): Promise<Outcome> {
  const [{ exportArchive }, { findPackage }, { formatBytes }] = await Promise.all([
    import('../client/pull/archive.ts'),
    import('../view/find-package.ts'),
    import('../format.ts'),
  ]);
  const client = await context.client();
  const pkg = await findPackage(client, named);
  const result = await exportArchive(client, pkg, file, choice, (report) => context.out.progress(report));
  const { size, digest, resumed_bytes: resumed } = result;
  const before = resumed === 0 ? '' : `; ${formatBytes(resumed)} were left by an earlier run`;
  const text = [`${pkg.id} is in ${JSON.stringify(file)} (${formatBytes(size)}${before}).`, `  archive  ${digest}`];
  const { format } = choice;
  const json = { package_id: pkg.id, manifest_digest: pkg.manifest_digest, file, format, ...result };
  return { json, text: text.join('\n') };
}

async function toStdout(context: Context, named: string, choice: Choice): Promise<undefined> {
  if (context.out.json) throw usageError('The archive itself goes to stdout: leave out --json, or name a file.');
  const [{ streamArchive }, { findPackage }] = await Promise.all([
    import('../client/pull/archive.ts'),
    import('../view/find-package.ts'),
  ]);
  const client = await context.client();
  const pkg = await findPackage(client, named);
  const write = (bytes: Uint8Array) => context.out.write(bytes);
  await streamArchive(client, pkg, choice, write, (report) => context.out.progress(report));
  return undefined;
}

async function toBundle(context: Context, named: string, bundle: string): Promise<Outcome> {
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
    ...(result.log ? [] : ['It has no proof of the log: the registry has lost the event, or the service has no log.']),
    'Its README.txt says how to check it. Give the id of the key to whoever does, over another channel.',
  ].join('\n');
  return { json: { package_id: pkg.id, manifest_digest: pkg.manifest_digest, bundle, ...result }, text };
}
