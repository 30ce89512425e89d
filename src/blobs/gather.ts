/** A system call for every packet would be most of the work. */
const BATCH = 512 * 1024;

/**
 * Puts small chunks together in one buffer that is used again and again: a new one for each batch would be garbage faster
 * than it is collected. What is yielded is good until the next one is asked for.
 */
export async function* gather(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  // A body of one chunk, as most are, needs no buffer.
  let first: Uint8Array | null = null;
  let buffer: Buffer | null = null;
  let waiting = 0;
  for await (const chunk of chunks) {
    if (buffer === null) {
      if (first === null) {
        first = chunk;
        waiting = chunk.length;
        continue;
      }
      buffer = Buffer.allocUnsafe(Math.max(BATCH, first.length));
      buffer.set(first);
    }
    if (waiting > 0 && waiting + chunk.length > buffer.length) {
      yield buffer.subarray(0, waiting);
      waiting = 0;
    }
    if (chunk.length > buffer.length) {
      yield chunk;
    } else {
      buffer.set(chunk, waiting);
      waiting += chunk.length;
    }
  }
  if (waiting > 0) yield buffer === null ? (first as Uint8Array) : buffer.subarray(0, waiting);
}
