import { VERSION } from '../src/version.ts';
import type { Context, Outcome, Verb } from './command.ts';
import { VERBS } from './commands/index.ts';
import { CliError, EXIT, type Exit, interrupted, toCliError, usageError } from './errors.ts';
import { keepHeapSmall } from './lean-heap.ts';
import { inOptionWords } from './option-words.ts';
import { Output, ReaderGone } from './output.ts';
import { type Invocation, parseCommandLine } from './program.ts';
import { checkCommon, newSession } from './session.ts';
import { coloursFor, renderJson, renderText } from './text.ts';

/** A command that is over by then does not pay for a small heap (lean-heap.ts). */
const SHORT_MS = 500;

/** The whole command line: parse, run, print, and say how it ended. @returns the exit code; never throws */
export async function main(process: NodeJS.Process): Promise<number> {
  const argv = process.argv.slice(2);
  const { stdout, stderr } = process;
  // `Output` tells of what stdout does not take; what stderr does not take is lost, and ends nothing.
  for (const stream of [stdout, stderr]) stream.on('error', () => {});
  const plain = new Output({ stdout, stderr, json: false, quiet: false });
  let out = new Output({ stdout, stderr, json: argv.includes('--json'), quiet: false });
  let understood: Invocation | null = null;
  const abort = abortOnSignals(process, () => understood?.verb.continues);
  try {
    let shown = '';
    const invocation = await parseCommandLine(VERBS, VERSION, argv, {
      writeOut: (text) => {
        shown += text;
      },
      writeErr: (text) => stderr.write(text),
    });
    if (invocation === null) return await show(plain, shown);
    understood = invocation;
    const { common } = invocation;
    out = new Output({ stdout, stderr, json: common.json ?? false, quiet: common.quiet ?? false });
    const outcome = await run(invocation, out, process.env, abort.signal);
    if (outcome === undefined) return await show(out, '');
    const text = textOf(out, outcome, coloursFor(stdout, process.env));
    return await show(out, text, outcome.exit).catch(doneAllTheSame);
  } catch (thrown) {
    if (thrown instanceof ReaderGone) return EXIT.done;
    const error = toCliError(abort.signal.aborted ? abort.signal.reason : thrown);
    return await report(out, understood === null ? error : inOptionWords(error, understood));
  } finally {
    await out.flushNotes();
  }
}

async function run(
  { verb, args, options, common }: Invocation,
  out: Output,
  env: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  setTimeout(keepHeapSmall, SHORT_MS).unref();
  if (verb.client) checkCommon(common);
  checkJson(verb, out);
  const { makesDataFolder = false } = verb;
  const tell = (text: string): void => out.note(text);
  const session = newSession({ common, env, signal, version: VERSION, makesDataFolder, tell });
  try {
    const context: Context = { out, env, verbs: VERBS, signal, client: () => session.client() };
    return await verb.run(context, args, options);
  } finally {
    out.endProgress();
    await session.close();
  }
}

function checkJson(verb: Verb, out: Output): void {
  if (verb.json === false && out.json)
    throw usageError(`${verb.name} writes bytes to stdout: there is no --json form.`);
}

/** @returns the exit code, which a reader that went away does not change */
async function show(out: Output, text: string, exit: Exit = EXIT.done): Promise<Exit> {
  try {
    if (text !== '') await out.write(text);
    await out.end();
  } catch (error) {
    if (!(error instanceof ReaderGone)) throw error;
  }
  return exit;
}

/** A message that the result could not be printed must not read as if the push had failed. */
function doneAllTheSame(thrown: unknown): never {
  if (!(thrown instanceof CliError && thrown.code === 'output_failed')) throw thrown;
  const next = 'The command did its work; only its output is lost. Run it again where there is enough space.';
  throw new CliError(thrown.message, { exit: thrown.exit, code: thrown.code, next, cause: thrown });
}

function textOf(out: Output, { json, text }: Outcome, colours: boolean): string {
  if (out.json) return `${renderJson(json)}\n`;
  return text === undefined || text === '' ? '' : `${renderText(text, colours)}\n`;
}

/** On stdout with --json, unless that is what failed; else on stderr. @returns the exit code */
async function report(out: Output, error: CliError): Promise<Exit> {
  const { code, message, next, exit, extras } = error;
  if (out.json && code !== 'output_failed') {
    const body = { ...extras, code, message, next, exit };
    const shown = show(out, `${renderJson({ error: body })}\n`).then(
      () => true,
      () => false,
    );
    if (await shown) return exit;
  }
  out.error(`artifact-store: ${message}`);
  if (next !== null) out.error(next);
  return exit;
}

/** The first signal asks for an orderly end, the second one ends at once. @param hint what to do next */
function abortOnSignals(process: NodeJS.Process, hint: () => string | undefined): AbortController {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      const error = interrupted(signal, hint());
      if (controller.signal.aborted) process.exit(error.exit);
      controller.abort(error);
    });
  }
  return controller;
}
