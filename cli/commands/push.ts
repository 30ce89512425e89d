import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { defineVerb } from '../command.ts';
import { PUSH_OPTIONS, type PushValues } from '../push-options.ts';
import { parseFilled, parseText } from '../view/options.ts';

interface Options extends PushValues {
  name?: string;
  producer: string;
  subject?: string;
  externalId?: string;
  metadata?: string;
  resume?: string;
  dryRun?: boolean;
}

export const push = defineVerb<Options>({
  name: 'push',
  summary: 'preserve a directory as a package',
  description:
    'Hashes every file below DIR, sends the bytes that the store does not have, and finalizes the package. To resume an interrupted push, run it again. With --external-id, a directory that was pushed before is compared with its package: if nothing has changed, there is nothing to send; if something has, the push is refused (exit 4), unless --revision makes a new package that supersedes the old one.',
  examples: [
    'push ./results --producer nightly-build',
    'push ./results --producer nightly-build --external-id build-4711 --retention-class release-evidence',
    'push ./results --producer nightly-build --external-id build-4711 --revision',
    "push ./results --producer nightly-build --retention-class summary-evidence --file-rule 'raw/**=30'",
  ],
  client: true,
  makesDataFolder: true,
  continues: 'Run the same command again: it continues where it stopped.',
  arguments: [{ name: 'DIR', description: 'the directory; only regular files can be kept', completes: 'folder' }],
  options: [
    {
      flags: '--producer <producer>',
      description: 'who made the files',
      required: true,
      parse: parseText(TEXT_MAX.producer),
    },
    {
      flags: '--name <name>',
      description: "the package's name (the directory's name)",
      parse: parseText(TEXT_MAX.name),
    },
    { flags: '--subject <subject>', description: 'what the files are about', parse: parseText(TEXT_MAX.subject) },
    {
      flags: '--external-id <id>',
      description: "the producer's own id: names one package, however often you push it",
      parse: parseText(TEXT_MAX.externalId),
    },
    {
      flags: '--metadata <file>',
      description: 'a JSON object to keep with the package',
      completes: 'file',
      parse: parseFilled,
    },
    { flags: '--resume <package>', description: 'the id of a package to continue', parse: parseFilled },
    ...PUSH_OPTIONS,
    { flags: '--dry-run', description: 'only check the directory; send nothing' },
  ],
  async run(context, [directory = ''], options) {
    const [{ pushDirectory }, { readMetadata }, { dryRun: lookOnly, pushLines }, { acceptSecrets }] = await Promise.all(
      [
        import('../client/push/push.ts'),
        import('../client/tree/metadata-file.ts'),
        import('../view/push-lines.ts'),
        import('../view/secret-lines.ts'),
      ],
    );
    const { metadata: metadataFile, dryRun, fileRule: fileRules, secretsBaseline, ...rest } = options;
    const metadata = metadataFile === undefined ? undefined : await readMetadata(metadataFile);
    if (secretsBaseline) return acceptSecrets(context, { ...rest, directory });
    if (dryRun) return lookOnly(context, { ...rest, directory, metadata });
    const client = await context.client();
    const result = await pushDirectory(
      client,
      { ...rest, directory, metadata, fileRules },
      {
        watch: (report) => context.out.progress(report),
        note: (text) => context.out.note(text),
        warn: (text) => context.out.warn(text),
      },
      context.env,
    );
    return { json: result, text: pushLines(result) };
  },
});
