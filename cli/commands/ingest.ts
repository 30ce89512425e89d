import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { type Context, defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import type { IngestResult, StatehubTarget } from '../guide-board/ingest-run.ts';
import { PUSH_OPTIONS, type PushValues, pushValues } from '../push-options.ts';
import { parseStatehub, parseText } from '../view/options.ts';

interface Options extends PushValues {
  statehub?: string;
  author?: string;
  workstream?: string;
  task?: string;
  url?: string;
  local?: boolean;
  dataDir?: string;
}

export const ingestGuideBoard = defineVerb<Options>({
  name: 'ingest guide-board',
  summary: 'push a guide-board run with its metadata',
  description:
    "Pushes the directory of a guide-board run as a package. Its metadata has the run's target, result, counts, commits and reports, computed from the files. If the run's own policy keeps raw artifacts for fewer days than the rest, artifacts/** gets a file rule of so many days, unless --file-rule is given. Running it again is safe: the run id names the package. A run that has changed since it was ingested is refused; with --revision it becomes a new package that supersedes the old one.",
  examples: [
    'ingest guide-board runs/run-20260513T210255Z',
    'ingest guide-board RUN_DIR --statehub https://statehub.example --workstream ws-7',
  ],
  client: true,
  makesDataFolder: true,
  continues: 'Run the same command again: it continues where it stopped.',
  arguments: [{ name: 'RUN_DIR', description: 'the directory that holds run.json', completes: 'folder' }],
  options: [
    ...PUSH_OPTIONS,
    {
      flags: '--statehub <url>',
      description: 'then report it to this Statehub: URL/progress/; an error there does not fail the ingest',
      parse: parseStatehub,
    },
    {
      flags: '--author <name>',
      description: 'who reports it to Statehub (artifact-store)',
      parse: parseText(TEXT_MAX.author),
    },
    { flags: '--workstream <id>', description: "the event's workstream_id", parse: parseText(TEXT_MAX.author) },
    { flags: '--task <id>', description: "the event's task_id", parse: parseText(TEXT_MAX.author) },
  ],
  async run(context, [directory = ''], options) {
    const target = statehubTarget(options);
    const [{ ingestRun, tellStatehub }, { ingestLines }] = await Promise.all([
      import('../guide-board/ingest-run.ts'),
      import('../view/ingest-lines.ts'),
    ]);
    if (options.secretsBaseline) {
      const { acceptSecrets } = await import('../view/secret-lines.ts');
      return acceptSecrets(context, { ...pushValues(options), directory });
    }
    const client = await context.client();
    const { fileRule: fileRules, ...rest } = pushValues(options);
    const result: IngestResult = await ingestRun(
      client,
      { ...rest, fileRules, directory },
      {
        watch: (report) => void context.out.progress(report),
        note: (text) => context.out.note(text),
        warn: (text) => context.out.warn(text),
      },
      context.env,
    );
    if (target !== null) {
      result.statehub = await tellStatehub(client, result.package_id, target);
      await reportStatehub(context, result, target, options);
    }
    return { json: result, text: ingestLines(result) };
  },
});

/** Checked before anything is sent. @throws CliError wrong_usage */
function statehubTarget({ statehub, author, workstream, task, finalize }: Options): StatehubTarget | null {
  if (statehub !== undefined && !finalize) {
    throw usageError('--statehub reports a finalized package: it cannot be combined with --no-finalize.');
  }
  if (statehub !== undefined) return { url: statehub, author, workstream, task };
  if (author === undefined && workstream === undefined && task === undefined) return null;
  throw usageError('--author, --workstream and --task are for Statehub: add --statehub.');
}

async function reportStatehub(
  { out }: Context,
  { package_id, statehub }: IngestResult,
  target: StatehubTarget,
  options: Options,
): Promise<void> {
  const [{ progressUrl }, { postLaterCommand }] = await Promise.all([
    import('../statehub-url.ts'),
    import('../view/ingest-lines.ts'),
  ]);
  if (options.local) {
    out.note(
      'The event contains an address that stops working when this command ends (--local); its package id stays valid.',
    );
  }
  if (statehub?.posted) out.note(`Reported to Statehub: ${progressUrl(target.url)}`);
  else if (statehub) {
    out.warn(`The package is preserved, but Statehub was not notified: ${statehub.error}.`);
    out.warn(`Report it later: ${postLaterCommand(package_id, target, options)}`);
  }
}
