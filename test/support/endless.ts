import type { Writable } from 'node:stream';

/** Writes the piece again and again, as fast as it is read, until nobody reads any more. */
export async function writeEndlessly(to: Writable, piece: Uint8Array | string): Promise<void> {
  while (!to.destroyed) if (!to.write(piece)) await roomOrEnd(to);
}

function roomOrEnd(to: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      to.off('drain', done).off('close', done);
      resolve();
    };
    to.on('drain', done).on('close', done);
  });
}
