import { EventEmitter } from 'node:events';
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { main } from '../../cli/main.ts';
import { measureHelper } from './file-times.ts';

/** One command, as `CliHosts` (cli-hosts.ts) sends it. */
export interface HostedCommand {
  args: string[];
  env: Record<string, string>;
  cwd: string;
}

export interface HostedEnding {
  code: number;
  stdout: Buffer;
  stderr: Buffer;
}

/** A pipe to this process: what `main` sees of a stream that is no file and no terminal. */
function pipe(): PassThrough {
  return Object.assign(new PassThrough(), { fd: 1, isTTY: false });
}

async function run({ args, env, cwd }: HostedCommand): Promise<HostedEnding> {
  process.chdir(cwd);
  const [stdout, stderr] = [pipe(), pipe()];
  const argv = [...process.argv.slice(0, 2), ...args];
  const hosted = Object.assign(new EventEmitter(), { argv, env, stdout, stderr });
  const texts = Promise.all([buffer(stdout), buffer(stderr)]);
  const code = await main(hosted as unknown as NodeJS.Process);
  stdout.end();
  stderr.end();
  const [out, err] = await texts;
  return { code, stdout: out, stderr: err };
}

// One command after the other: each has the working directory to itself.
process.on('message', async (command: HostedCommand) => {
  process.send?.(await run(command));
});
// The test file has ended.
process.on('disconnect', () => process.exit());
measureHelper();
