import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';

interface Options {
  manifests?: boolean;
}

export const repair = defineVerb<Options>({
  name: 'repair',
  summary: 'mend damaged packages from any files that have the right bytes',
  description:
    'Reads files, or all files of directories, and sends the service those whose bytes packages have lost: found wrong by a fixity check, or gone from storage. Names and folders do not matter, digests do. Every package that needs the bytes has them again; nothing else is stored. --manifests writes damaged manifests again from the registry. `artifact-store fixity` says what is damaged. The exit code is 3 when something is damaged and none of these files helps, and 5 when they helped and something is damaged still.',
  examples: ['repair ./results', 'repair report.html harness.log', 'repair --manifests'],
  client: true,
  arguments: [
    { name: 'FILE', description: 'a file, or a directory', optional: true, several: true, completes: 'file' },
  ],
  options: [{ flags: '--manifests', description: 'write damaged manifests again from the registry' }],
  async run(context, named, { manifests = false }) {
    if (named.length === 0 && !manifests) throw usageError('Name files or directories, or give --manifests.');
    const [{ repairFrom }, { repairOutcome }] = await Promise.all([
      import('../client/repair.ts'),
      import('../view/repair-lines.ts'),
    ]);
    const client = await context.client();
    const before = (await client.operations.fixity()).damaged;
    const repaired = named.length === 0 ? null : await repairFrom(client, named);
    const rewritten = manifests ? await client.operations.repairManifests() : null;
    return repairOutcome({ before, repaired, rewritten, after: (await client.operations.fixity()).damaged });
  },
});
