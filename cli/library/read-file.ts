import type { ApiClient } from '../client/api/api-client.ts';
import { type OpenFile, openFile } from '../client/pull/open-file.ts';
import { ArtifactStoreError } from './error.ts';
import type { Run, Stream } from './run.ts';
import type { OpenedFile, OpenOptions, ReadOptions } from './types.ts';

const READ_MAX = 64 * 1024 ** 2;

export async function openForProgram(
  { run, stream }: { run: Run; stream: Stream },
  id: string,
  path: string,
  { range, signal }: OpenOptions,
): Promise<OpenedFile> {
  const file = await run(signal, (job) => openFile(job, id, path));
  const { digest, size } = file;
  assertRange(file, range);
  // The signed address of the bytes is asked for again when it has expired by the time somebody reads.
  const bytes = stream(signal, () => (range === undefined ? file.read() : file.readRange(range.offset, range.length)));
  return { path, digest, size, body: ReadableStream.from(bytes) };
}

export async function readWhole(
  job: ApiClient,
  id: string,
  path: string,
  { maxBytes = READ_MAX }: ReadOptions,
): Promise<Uint8Array> {
  const file = await openFile(job, id, path);
  const { size } = file;
  if (size > maxBytes) {
    const message = `${JSON.stringify(path)} has ${size} bytes, more than the ${maxBytes} that may be read into memory: use openFile.`;
    throw new ArtifactStoreError(message, { code: 'file_too_large', details: { path, size, max: maxBytes } });
  }
  const whole = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of file.read()) {
    whole.set(chunk, filled);
    filled += chunk.length;
  }
  return whole;
}

function assertRange({ path, size }: OpenFile, range: OpenOptions['range']): void {
  if (range === undefined) return;
  const { offset, length } = range;
  const whole = [offset, length].every((number) => Number.isSafeInteger(number) && number >= 0);
  if (whole && offset + length <= size) return;
  const message = `${JSON.stringify(path)} has ${size} bytes: there are no ${length} from ${offset} on.`;
  throw new ArtifactStoreError(message, { code: 'bad_range', details: { path, size } });
}
