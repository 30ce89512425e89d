import { closeSync, fstatSync, write } from 'node:fs';
import { promisify } from 'node:util';

/** Where the bytes of a verb go. Both reject with what the system said. */
export interface Sink {
  /** Ends when every byte was taken. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** After the last write: some file systems say only now that there was no room. */
  close(): Promise<void>;
}

/** The two system calls of a sink on a file. */
export interface FileCalls {
  /** @returns how many bytes were taken: a file on a disk that is nearly full takes some of them, without an error */
  write(fd: number, bytes: Uint8Array): Promise<number>;
  close(fd: number): void;
}

const writeOnce = promisify(write);
const REAL_CALLS: FileCalls = {
  write: async (fd, bytes) => (await writeOnce(fd, bytes)).bytesWritten,
  close: closeSync,
};

/** As `process.stdout` is. */
export type StdStream = NodeJS.WriteStream & { fd: number };

/** Files are written here, because Node's own stream for them takes a write that was cut short for a whole one. */
export function sinkOf(stream: StdStream): Sink {
  return isFile(stream) ? fileSink(stream.fd) : streamSink(stream);
}

export function fileSink(fd: number, calls: FileCalls = REAL_CALLS): Sink {
  return {
    async write(chunk) {
      const bytes = Buffer.from(chunk as Uint8Array);
      for (let done = 0; done < bytes.length; ) done += await calls.write(fd, bytes.subarray(done));
    },
    close: async () => calls.close(fd),
  };
}

function streamSink(stream: NodeJS.WriteStream): Sink {
  return {
    write: (chunk) =>
      new Promise((resolve, reject) => {
        stream.write(chunk, (error) => (error ? reject(error) : resolve()));
      }),
    close: async () => {},
  };
}

/** Terminals, pipes and sockets may say “not now”: those are left to Node. */
function isFile({ fd, isTTY }: StdStream): boolean {
  if (isTTY) return false;
  const stats = fstatSync(fd);
  return stats.isFile() || stats.isCharacterDevice() || stats.isBlockDevice();
}
