import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestIssuer } from './issuer.ts';

const REQUEST_TOKEN = 'a-token-to-ask-with';

export interface JobTokens {
  /** What GitHub Actions puts into the environment of a job. */
  env: Record<string, string>;
  /** The audiences that tokens were asked for. */
  asked: Array<string | null>;
  given: string[];
  /** Claims of the next tokens, beside those of the job. */
  claims: () => Record<string, unknown>;
  /** Answers the next requests in the place of what is true. */
  answers: Array<(response: ServerResponse) => void>;
  close(): Promise<void>;
}

/** Where a job of GitHub Actions gets its tokens: as @actions/core asks, with the audience in the query. */
export async function startJobTokens(issuer: TestIssuer): Promise<JobTokens> {
  const server = createServer(async (request, response) => {
    const { searchParams: query } = new URL(request.url ?? '', 'http://localhost');
    tokens.asked.push(query.get('audience'));
    const answer = tokens.answers.shift();
    if (answer !== undefined) return answer(response);
    const isRight = request.headers.authorization === `Bearer ${REQUEST_TOKEN}` && query.get('api-version') === '2.0';
    if (request.method !== 'GET' || !isRight) return void response.writeHead(401).end();
    const value = await issuer.token({ aud: query.get('audience') ?? 'https://github.com/acme', ...tokens.claims() });
    tokens.given.push(value);
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ count: 1, value }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const tokens: JobTokens = {
    env: {
      ACTIONS_ID_TOKEN_REQUEST_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token?api-version=2.0`,
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: REQUEST_TOKEN,
    },
    asked: [],
    given: [],
    claims: () => ({}),
    answers: [],
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return tokens;
}
