import { Readers } from '../../cli/client/tree/readers.ts';
import { walk } from '../../cli/client/tree/walk.ts';
import { DEFAULT_LIMITS } from '../../src/core/limits.ts';

/** Hashes the directory of its first argument in a thread and stops the readers while the thread's answer is on its way. */
const [folder = ''] = process.argv.slice(2);
const files = await walk(folder, { symlinks: 'refuse', special: 'refuse', signal: new AbortController().signal });
const readers = new Readers();

async function main(): Promise<void> {
  readers.hash([...files], DEFAULT_LIMITS).catch(() => {});
  const pause = new Int32Array(new SharedArrayBuffer(4));
  // Nothing of this thread's runs meanwhile: the answer waits for it.
  while (readers.bytes < files.totalBytes) Atomics.wait(pause, 0, 0, 10);
  Atomics.wait(pause, 0, 0, 200);
  await readers.stop();
  process.stdout.write('stopped');
}

// Not awaited at the top level, where Node would notice that it does not end.
main();
