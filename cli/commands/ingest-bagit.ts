import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { defineVerb } from '../command.ts';
import { DIRECTORY_OPTIONS, PUSH_OPTIONS, type PushValues, pushValues } from '../push-options.ts';
import { parseText } from '../view/options.ts';

interface Options extends PushValues {
  producer: string;
  name?: string;
  subject?: string;
  externalId?: string;
}

/** A bag is taken whole, with what it holds. */
const NOT_OF_BAGS: ReadonlySet<string> = new Set([
  '--secrets-baseline',
  ...DIRECTORY_OPTIONS.map(({ flags }) => flags),
]);

export const ingestBagit = defineVerb<Options>({
  name: 'ingest bagit',
  summary: 'check a bag (BagIt, RFC 8493), and push it',
  description:
    "Checks a bag, a folder or a ZIP file, as a whole: every file of every manifest, tag files too, none missing and none unlisted. One that is damaged is refused (exit 5), and so is what is no bag or would have to be fetched (exit 1); nothing is sent before. The package has the payload under its own paths, without data/, and the tag files in .bagit/; its metadata has what bag-info.txt says. External-Identifier becomes the external id, which makes it safe to run this again. A ZIP file is unpacked into the system's folder for temporary files (TMPDIR).",
  examples: [
    'ingest bagit ./accession-17 --producer archive',
    'ingest bagit accession-17.zip --producer archive --retention-class permanent-record',
  ],
  client: true,
  makesDataFolder: true,
  continues: 'Run the same command again: it continues where it stopped.',
  arguments: [
    { name: 'BAG', description: 'the folder that holds bagit.txt, or a ZIP file with it', completes: 'file' },
  ],
  options: [
    {
      flags: '--producer <producer>',
      description: 'who made the files',
      required: true,
      parse: parseText(TEXT_MAX.producer),
    },
    {
      flags: '--name <name>',
      description: "the package's name (that of the bag's folder)",
      parse: parseText(TEXT_MAX.name),
    },
    { flags: '--subject <subject>', description: 'what the files are about', parse: parseText(TEXT_MAX.subject) },
    {
      flags: '--external-id <id>',
      description: "the producer's own id (External-Identifier, if the bag has one)",
      parse: parseText(TEXT_MAX.externalId),
    },
    ...PUSH_OPTIONS.filter(({ flags }) => !NOT_OF_BAGS.has(flags)),
  ],
  async run(context, [place = ''], options) {
    const [{ ingestBag }, { bagLines }] = await Promise.all([
      import('../bagit/ingest-bag.ts'),
      import('../view/ingest-lines.ts'),
    ]);
    const { producer, name, subject, externalId } = options;
    const { fileRule: fileRules, exclude: _e, symlinks: _s, special: _p, ...rest } = pushValues(options);
    const client = await context.client();
    const progress = {
      watch: (report: Parameters<typeof context.out.progress>[0]) => void context.out.progress(report),
      note: (text: string) => context.out.note(text),
      warn: (text: string) => context.out.warn(text),
    };
    const given = { ...rest, fileRules, producer, name, subject, externalId };
    const result = await ingestBag(place, given, { client, progress, env: context.env });
    return { json: result, text: bagLines(result) };
  },
});
