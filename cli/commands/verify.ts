import type { Context, Outcome } from '../command.ts';
import { defineVerb } from '../command.ts';
import type { CommonValues } from '../common-options.ts';
import { usageError } from '../errors.ts';
import { DIRECTORY_OPTIONS, type DirectoryValues } from '../push-options.ts';
import { parseFilled } from '../view/options.ts';

interface Options extends DirectoryValues, CommonValues {
  against?: string;
  offline?: string;
  attestation?: string;
  key?: string[];
  manifest?: string;
  proof?: string;
  checkpoint?: string;
}

export const verify = defineVerb<Options>({
  name: 'verify',
  summary: 'read a package again and check every digest; or a directory, without a service',
  description:
    "Reads every file of a package through the service and hashes it, and checks the manifest against the package's manifest digest. With --against, the directory must contain the same files too. Everything that does not match is listed, and the exit code is 5. Files that were removed from the package when their time was over are counted apart; the directory need not have them. With --offline no service is asked: the directory is held against an attestation, which one of the keys must have signed. Every file that it names must be there with its bytes, and no other: exit 5 names the first that is changed, missing or too many. With --proof also the audit log must have it that the package was finalized so.",
  examples: [
    'verify PACKAGE',
    'verify PACKAGE --against ./results',
    'verify --offline ./copy --attestation attestation.json --key key.pem',
    'verify --offline ./copy --attestation attestation.json --key key.pem --manifest manifest.json',
  ],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id; not with --offline', optional: true }],
  options: [
    {
      flags: '--against <dir>',
      description: 'also compare with this directory',
      completes: 'folder',
      parse: parseFilled,
    },
    {
      flags: '--offline <dir>',
      description: 'check this directory, as it was pulled, against --attestation and --key',
      completes: 'folder',
      parse: parseFilled,
    },
    {
      flags: '--attestation <file>',
      description: 'what the service signed of the package',
      completes: 'file',
      parse: parseFilled,
    },
    {
      flags: '--key <file>',
      description: 'a public key in PEM; when keys were rotated, one of several',
      completes: 'file',
      repeatable: true,
      parse: parseFilled,
    },
    {
      flags: '--manifest <file>',
      description: 'the manifest: needed when the attestation names no files, checked when it does',
      completes: 'file',
      parse: parseFilled,
    },
    {
      flags: '--proof <file>',
      description: 'also check that the audit log has the finalization: the proof of that event',
      completes: 'file',
      parse: parseFilled,
    },
    {
      flags: '--checkpoint <file>',
      description: 'a checkpoint of the log that you kept, to which the proof must lead',
      completes: 'file',
      parse: parseFilled,
    },
    ...DIRECTORY_OPTIONS,
  ],
  async run(context, [named], { offline, ...options }) {
    if (offline !== undefined) return verifyDirectory(context, named, offline, options);
    return verifyPackage(context, named, options);
  },
});

type Given = Omit<Options, 'offline'>;

async function verifyPackage(context: Context, named: string | undefined, given: Given): Promise<Outcome> {
  const { against, ...options } = given;
  for (const name of ['attestation', 'key', 'manifest', 'proof', 'checkpoint'] as const) {
    if (given[name] !== undefined)
      throw usageError(`--${name} is for a directory without a service: add --offline DIR.`);
  }
  if (named === undefined) throw usageError("Missing required argument 'PACKAGE'.", SEE_HELP);
  if (against === undefined && options.exclude !== undefined) {
    throw usageError('--exclude needs a directory: add --against.');
  }
  const [{ verifyPackage: verifyStored }, { findPackage }, { verifyOutcome }] = await Promise.all([
    import('../client/pull/verify.ts'),
    import('../view/find-package.ts'),
    import('../view/verify-lines.ts'),
  ]);
  const client = await context.client();
  const pkg = await findPackage(client, named);
  const verification = await verifyStored(client, pkg, (report) => context.out.progress(report));
  if (against === undefined) return verifyOutcome(pkg, verification, null);
  const { compareDirectory } = await import('../client/compare-directory.ts');
  const note = (text: string): void => context.out.note(text);
  return verifyOutcome(pkg, verification, await compareDirectory(client, pkg, against, options, note));
}

async function verifyDirectory(
  context: Context,
  named: string | undefined,
  directory: string,
  given: Given,
): Promise<Outcome> {
  if (named !== undefined)
    throw usageError('--offline checks a directory against an attestation: it takes no PACKAGE.');
  const ofService = ['against', 'exclude', 'url', 'token', 'local', 'dataDir'] as const;
  const other = ofService.find((name) => given[name] !== undefined);
  if (other !== undefined) {
    const option = other === 'dataDir' ? 'data-dir' : other;
    throw usageError(`--offline asks no service and leaves no file out: it does not go with --${option}.`);
  }
  const { attestation, key: keys, manifest = null, proof, checkpoint = null, symlinks, special } = given;
  if (attestation === undefined || keys === undefined) {
    throw usageError('--offline needs --attestation FILE and --key FILE.', SEE_HELP);
  }
  if (checkpoint !== null && proof === undefined)
    throw usageError('--checkpoint needs --proof FILE, which leads to it.');
  const log = proof === undefined ? null : { proof, checkpoint };
  const [{ verifyOffline }, { offlineOutcome }] = await Promise.all([
    import('../client/offline/verify-offline.ts'),
    import('../view/offline-lines.ts'),
  ]);
  const { signal, out } = context;
  const verified = await verifyOffline(
    { directory, attestation, keys, manifest, log, symlinks, special },
    { signal, progress: (report) => out.progress(report), note: (text) => out.note(text) },
  );
  return offlineOutcome(directory, verified);
}

const SEE_HELP = 'See artifact-store verify --help.';
