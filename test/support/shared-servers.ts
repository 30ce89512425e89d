import { createServer, get, type Server } from 'node:http';
import { text } from 'node:stream/consumers';

/** Something that is started once for a run of several test files, when the first of them asks for it. */
export interface Offer {
  /** @returns what a test file needs to know to reach it, as JSON */
  start(): Promise<{ place: unknown; stop(): Promise<void> }>;
}

/** Where `test/run.ts` listens for test files that ask; they run on their own without it. */
const VARIABLE = 'ARTIFACT_STORE_TEST_SERVERS';

export interface SharedServers {
  /** For the environment of the test files. */
  env: Record<string, string>;
  /** Stops what was started. */
  close(): Promise<void>;
}

/** @param socket a path that is free */
export async function shareServers(socket: string, offers: Record<string, Offer>): Promise<SharedServers> {
  const started = new Map<string, ReturnType<Offer['start']>>();
  const server: Server = createServer(async (request, response) => {
    const name = (request.url ?? '').slice(1);
    const offer = offers[name];
    if (offer === undefined) return response.writeHead(404).end();
    const starting = started.get(name) ?? offer.start();
    started.set(name, starting);
    try {
      const { place } = await starting;
      response.writeHead(200).end(JSON.stringify(place));
    } catch (error) {
      response.writeHead(503).end(error instanceof Error ? error.message : String(error));
    }
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    env: { [VARIABLE]: socket },
    async close() {
      server.close();
      server.closeAllConnections();
      for (const starting of started.values()) await starting.then(({ stop }) => stop()).catch(() => {});
    },
  };
}

/** @returns where it is; null when this test file was not started by `test/run.ts` @throws Error when it cannot be had */
export async function sharedServer<Place>(name: string): Promise<Place | null> {
  const socketPath = process.env[VARIABLE];
  if (!socketPath) return null;
  const [status, body] = await new Promise<[number | undefined, string]>((resolve, reject) => {
    get({ socketPath, path: `/${name}` }, (answer) => {
      text(answer).then((body) => resolve([answer.statusCode, body]), reject);
    }).on('error', reject);
  });
  if (status !== 200) throw new Error(body || `${name} was answered with ${status}`);
  return JSON.parse(body) as Place;
}
