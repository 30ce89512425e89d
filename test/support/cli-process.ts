import { spawn } from 'node:child_process';
import path from 'node:path';
import { processEnv } from './process-env.ts';

export interface CliResult {
  code: number | null;
  stdout: string;
  stderr: string;
  /** stdout as JSON; undefined when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are asserted on, field by field
  json: any;
}

const BIN = path.join(import.meta.dirname, '../../cli/bin.ts');

/** The command line as a child process, with this environment beside what a process needs. */
export function cliOf(env: Record<string, string>): (...args: string[]) => Promise<CliResult> {
  return async (...args) => {
    const child = spawn(process.execPath, [BIN, ...args], {
      env: processEnv(env),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject).once('close', resolve);
    });
    return { code, ...output, json: parse(output.stdout) };
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
