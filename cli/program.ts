import { Argument, Command, CommanderError, Option } from 'commander';
import type { Verb, VerbOption } from './command.ts';
import { CLIENT_OPTIONS, COMMON_OPTIONS, type CommonValues } from './common-options.ts';
import { usageError } from './errors.ts';

/** A command line that was understood. */
export interface Invocation {
  verb: Verb;
  args: readonly string[];
  options: object;
  common: CommonValues;
}

export interface ProgramStreams {
  writeOut: (text: string) => void;
  writeErr: (text: string) => void;
}

const EXITS = `Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 refused (conflict, retention, hold, access),
5 integrity failure, 6 cannot reach the service.`;

/** What verbs with the same first word do, where the first of them does not say it. */
const GROUPS: Readonly<Record<string, string>> = {
  ingest: 'push a guide-board run, or a bag, with its metadata',
  share: 'make, list and revoke links that show a package to whoever has them',
  webhook: 'have events sent to URLs',
};

/**
 * The command table as a commander program. @returns what to run; null when help or the version was asked for and shown
 * @throws CliError wrong_usage
 */
export async function parseCommandLine(
  verbs: readonly Verb[],
  version: string,
  argv: readonly string[],
  streams: ProgramStreams,
): Promise<Invocation | null> {
  let invocation: Invocation | null = null;
  const program = new Command('artifact-store')
    .description('Preserves packages of generated artifacts: every byte under its SHA-256, kept as long as it must be.')
    .usage('VERB [ARGUMENTS] [OPTIONS]')
    .commandsGroup('Verbs:')
    .version(version, '--version', 'print the version')
    .addHelpText('after', `\n${EXITS}\nartifact-store VERB --help shows more about a verb.`);
  configure(program, streams);
  // To make all verbs takes longer than what a short one does.
  const named = verbs.filter(({ name }) => name.split(' ')[0] === argv[0]);
  for (const verb of named.length > 0 ? named : verbs) {
    const command = addVerb(program, verb);
    if (!verb.name.split(' ').every((word) => argv.includes(word))) continue;
    describeVerb(command, verb, (args, options) => {
      invocation = { verb, args, options, common: options };
    });
  }
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return null;
    if (error.code === 'commander.help') throw usageError('A verb is missing.', seeHelp(groupOf(verbs, argv)));
    throw usageError(sentence(error.message), seeHelp(findVerb(verbs, argv)));
  }
  return invocation;
}

function configure(command: Command, streams: ProgramStreams): void {
  command
    .exitOverride()
    .showSuggestionAfterError(true)
    .configureOutput({ ...streams, outputError: () => {} })
    .configureHelp({ sortSubcommands: false, subcommandTerm: (sub) => sub.name() });
}

/** As the list of verbs has it. */
function addVerb(program: Command, verb: Verb): Command {
  const words = verb.name.split(' ');
  const parent = parentOf(program, words.slice(0, -1), verb.summary);
  return parent.command(words.at(-1) as string).summary(verb.summary);
}

/** As its own help has it, and as it is run. */
function describeVerb(command: Command, verb: Verb, chosen: (args: string[], options: object) => void): void {
  command.description(verb.description);
  for (const { name, description, optional, several } of verb.arguments ?? []) {
    const shown = several ? `${name}...` : name;
    command.addArgument(new Argument(optional ? `[${shown}]` : `<${shown}>`, description));
  }
  for (const option of optionsOf(verb)) command.addOption(toOption(option));
  command.addHelpText('after', `\nExamples:\n${verb.examples.map((line) => `  artifact-store ${line}`).join('\n')}`);
  command.action((...received: unknown[]) => {
    const count = verb.arguments?.length ?? 0;
    const args = received
      .slice(0, count)
      .flat()
      .filter((arg): arg is string => typeof arg === 'string');
    const options = received[count] as Record<string, unknown>;
    assertGiven(verb, received);
    assertRequired(verb, options);
    chosen(args, options);
  });
}

function parentOf(program: Command, words: readonly string[], summary: string): Command {
  let parent = program;
  for (const word of words) {
    const known = parent.commands.find((command) => command.name() === word);
    parent = known ?? parent.command(word).summary(GROUPS[word] ?? summary);
  }
  return parent;
}

/** What an unset variable of a shell becomes is no name of anything. */
function assertGiven(verb: Verb, received: readonly unknown[]): void {
  for (const [index, { name }] of (verb.arguments ?? []).entries()) {
    if ([received[index]].flat().includes('')) throw usageError(`${name} must not be empty.`, seeHelp(verb));
  }
}

/** Asked after everything else: a misspelt option is told as such, not as the one that is missing. */
function assertRequired(verb: Verb, options: Record<string, unknown>): void {
  for (const { flags, required } of verb.options ?? []) {
    if (!required || options[new Option(flags).attributeName()] !== undefined) continue;
    throw usageError(`${verb.name} needs ${flags}.`, seeHelp(verb));
  }
}

/** All options of a verb, its own first. */
export function optionsOf(verb: Verb): VerbOption[] {
  return [...(verb.options ?? []), ...(verb.client ? CLIENT_OPTIONS : []), ...COMMON_OPTIONS];
}

function toOption({ flags, description, required, choices, parse, repeatable, ...rest }: VerbOption): Option {
  const option = new Option(flags, required ? `${description} (required)` : description);
  if (rest.default !== undefined) option.default(rest.default);
  if (choices) option.choices([...choices]);
  const value = (text: string): unknown => (parse === undefined ? text : parse(text, longName({ flags })));
  if (repeatable) option.argParser((text, list) => [...((list as unknown[] | undefined) ?? []), value(text)]);
  else if (parse) option.argParser(value);
  return option;
}

/** `--days <n>` → `--days`. */
export function longName({ flags }: Pick<VerbOption, 'flags'>): string {
  return /--[a-z-]+/.exec(flags)?.[0] ?? flags;
}

/** commander says `error: unknown option '--nmae'\n(Did you mean --name?)`. */
function sentence(message: string): string {
  const text = message
    .replace(/^error: /, '')
    .replace(/\s*\n\s*/g, ' ')
    .trim();
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.?)]$/.test(text) ? '' : '.'}`;
}

function findVerb(verbs: readonly Verb[], argv: readonly string[]): Verb | null {
  const words = argv.filter((word) => !word.startsWith('-')).join(' ');
  return verbs.find(({ name }) => words === name || words.startsWith(`${name} `)) ?? null;
}

/** `share` of `share create`: alone it is no verb. */
function groupOf(verbs: readonly Verb[], [word]: readonly string[]): Pick<Verb, 'name'> | null {
  return word !== undefined && verbs.some(({ name }) => name.startsWith(`${word} `)) ? { name: word } : null;
}

function seeHelp(verb: Pick<Verb, 'name'> | null): string {
  return `See artifact-store ${verb === null ? '' : `${verb.name} `}--help.`;
}
