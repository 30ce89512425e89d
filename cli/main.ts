import { VERSION } from '../src/version.ts';
import type { Context, Outcome, Verb } from './command.ts';
import { VERBS } from './commands/index.ts';
import { type CliError, EXIT, interrupted, toCliError, usageError } from './errors.ts';
import { keepHeapSmall } from './lean-heap.ts';
import { Output } from './output.ts';
import { type Invocation, parseCommandLine } from './program.ts';
import { checkCommon, newSession } from './session.ts';
import { coloursFor, renderJson, renderText } from './text.ts';

/** The whole command line: parse, run, print, and say how it ended. @returns the exit code; never throws */
export async function main(process: NodeJS.Process): Promise<number> {
  keepHeapSmall();
  const argv = process.argv.slice(2);
  // A reader that went away (`| head`) is no error; everything is written through Output, which notices.
  process.stdout.on('error', () => {});
  let json = argv.includes('--json');
  let hint: string | undefined;
  const streams = { stdout: process.stdout, stderr: process.stderr };
  const abort = abortOnSignals(process);
  try {
    const invocation = await parseCommandLine(VERBS, VERSION, argv, {
      writeOut: (text) => process.stdout.write(text),
      writeErr: (text) => process.stderr.write(text),
    });
    if (invocation === null) return EXIT.done;
    json = invocation.common.json ?? false;
    hint = invocation.verb.continues;
    const out = new Output({ ...streams, json, quiet: invocation.common.quiet ?? false });
    const outcome = await run(invocation, out, process.env, abort.signal);
    if (outcome) await print(out, outcome, coloursFor(process.stdout, process.env));
    return outcome?.exit ?? EXIT.done;
  } catch (thrown) {
    const error = abort.signal.aborted ? interrupted(hint) : toCliError(thrown);
    await report(new Output({ ...streams, json, quiet: false }), error);
    return error.exit;
  }
}

async function run(
  { verb, args, options, common }: Invocation,
  out: Output,
  env: Record<string, string | undefined>,
  signal: AbortSignal,
): Promise<Outcome | undefined> {
  if (verb.client) checkCommon(common);
  checkJson(verb, out);
  const session = newSession({ common, env, signal, version: VERSION, tell: (text) => out.note(text) });
  try {
    const context: Context = { out, env, signal, client: () => session.client() };
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

async function print(out: Output, { json, text }: Outcome, colours: boolean): Promise<void> {
  if (out.json) await out.write(`${renderJson(json)}\n`);
  else if (text !== undefined && text !== '') await out.write(`${renderText(text, colours)}\n`);
}

async function report(out: Output, error: CliError): Promise<void> {
  if (out.json) {
    const { code, message, next, exit, extras } = error;
    const body = { ...extras, code, message, next, exit };
    await out.write(`${renderJson({ error: body })}\n`);
    return;
  }
  out.error(`artifact-store: ${error.message}`);
  if (error.next !== null) out.error(error.next);
}

/** The first signal asks for an orderly end, the second one ends at once. */
function abortOnSignals(process: NodeJS.Process): AbortController {
  const controller = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (controller.signal.aborted) process.exit(EXIT.interrupted);
      controller.abort();
    });
  }
  return controller;
}
