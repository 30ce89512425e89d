import type { ApiClient } from './client/api/api-client.ts';
import type { Exit } from './errors.ts';
import type { Output } from './output.ts';
import type { Text } from './text.ts';

/** What a verb works with; nothing of it is global. */
export interface Context {
  out: Output;
  env: Record<string, string | undefined>;
  /** Every verb, in the order of the help. */
  verbs: readonly Verb[];
  /** Aborted by Ctrl-C. */
  signal: AbortSignal;
  /**
   * The service that --url, --token or --local name; opened on first use, closed when the verb ends.
   * @throws CliError when it cannot be opened
   */
  client(): Promise<ApiClient>;
}

/** What a verb found out. `main` prints it: `json` as the one document with --json, else `text`. */
export interface Outcome {
  json: unknown;
  /** Left out: nothing is printed. Ends without a line break. Output makes it safe for a terminal. */
  text?: Text;
  /** Default 0. */
  exit?: Exit;
}

export interface VerbArgument {
  /** Upper case, as in the usage line: PACKAGE. */
  name: string;
  description: string;
  optional?: boolean;
  /** One or more of them: the last argument. */
  several?: boolean;
  /** What a shell offers here. */
  completes?: 'folder' | 'file';
}

export interface VerbOption {
  /** As commander reads it: `--days <n>`, `--apply`. The key in `options` is the long name in camel case. */
  flags: string;
  description: string;
  required?: boolean;
  default?: string | number | boolean;
  choices?: readonly string[];
  /** May be given several times: the value is a list. */
  repeatable?: boolean;
  /** Turns the text into the value. @param flag `--days`, for messages @throws CliError wrong_usage */
  parse?: (text: string, flag: string) => unknown;
  /** What the service calls it, where that is not the long name with underscores. */
  field?: string;
  /** The variable of the environment that it sets. */
  variable?: string;
  completes?: 'folder' | 'file';
}

/**
 * One verb, one file under commands/. The file is loaded for every `--help`, so at its top it imports nothing but this
 * module, errors.ts and types; `run` imports what it needs when it runs (`await import('../client/push.ts')`).
 */
export interface Verb<Options extends object = object> {
  /** Words: `push`, or `ingest guide-board` for a verb below a verb. */
  name: string;
  /** Half a line for the list of verbs. */
  summary: string;
  /** Full sentences for the verb's own help. */
  description: string;
  /** Command lines without the `artifact-store` in front. */
  examples: readonly string[];
  arguments?: readonly VerbArgument[];
  options?: readonly VerbOption[];
  /** Talks to a service: gets --url, --token, --local, --data-dir. */
  client: boolean;
  /** With --local it makes the data folder when there is none; default false: a verb that reads would show an empty store. */
  makesDataFolder?: boolean;
  /** False: the verb writes bytes to stdout, so --json is refused. */
  json?: boolean;
  /** What Ctrl-C says to do next. */
  continues?: string;
  /** @returns nothing when it has written to stdout itself */
  run(context: Context, args: readonly string[], options: Options): Promise<Outcome | undefined>;
}

/** Gives a verb's options their type; the table holds all verbs as `Verb`. */
export function defineVerb<Options extends object = Record<string, never>>(verb: Verb<Options>): Verb {
  return verb as Verb;
}
