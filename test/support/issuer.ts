import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { SignJWT } from 'jose';

export interface IssuerKey {
  kid: string;
  publicKey: KeyObject;
  privateKey: KeyObject;
}

export interface TokenOptions {
  /** In the place of the issuer's newest key. */
  key?: { kid?: string | undefined; privateKey: KeyObject };
  alg?: string;
  /** More of the header. */
  header?: Record<string, unknown>;
}

type Page = 'discovery' | 'keys';

export interface TestIssuer {
  /** As its tokens have it. */
  url: string;
  /** Where it is, on loopback. */
  port: number;
  audience: string;
  /** What was asked for, in order. */
  asked: Page[];
  /** How a page is answered in the place of what is true. */
  answers: Partial<Record<Page, (response: ServerResponse) => void>>;
  /** The keys that it publishes; the last one signs. */
  published: IssuerKey[];
  /** Publishes a new key, and no other any more. */
  rotate(): void;
  /** A JWT of a job of GitHub Actions; `undefined` leaves a claim out. */
  token(claims?: Record<string, unknown>, options?: TokenOptions): Promise<string>;
  /** No longer there: connections are refused, until it listens again at the same address. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

/** Of a job of https://github.com/acme/tool, as docs.github.com shows one. */
export const JOB = {
  repository: 'acme/tool',
  repository_id: '74',
  repository_owner: 'acme',
  repository_owner_id: '65',
  ref: 'refs/heads/main',
  ref_type: 'branch',
  environment: 'release',
  event_name: 'push',
  job_workflow_ref: 'acme/tool/.github/workflows/nightly.yml@refs/heads/main',
  run_id: '1658821493',
  run_attempt: '1',
  actor: 'octocat',
  sub: 'repo:acme/tool:environment:release',
};

/** The time, in seconds. */
export const now = (): number => Math.floor(Date.now() / 1_000);

/** RSA keys take a second to make: one for each test is enough. */
export function rsaKey(kid: string = randomUUID()): IssuerKey {
  return { kid, ...generateKeyPairSync('rsa', { modulusLength: 2_048 }) };
}

/**
 * An OpenID provider over HTTP, as far as a relying party that has a token already sees one.
 * @param url what it is called, if that is not where it is
 */
export async function startIssuer({ url }: { url?: string } = {}): Promise<TestIssuer> {
  const audience = 'https://store.example';
  const server = createServer((request, response) => {
    const page = request.url === '/keys' ? 'keys' : 'discovery';
    issuer.asked.push(page);
    const answer = issuer.answers[page];
    if (answer !== undefined) return answer(response);
    const document =
      page === 'keys'
        ? { keys: issuer.published.map(jwkOf) }
        : { issuer: issuer.url, jwks_uri: `${issuer.url}/keys`, id_token_signing_alg_values_supported: ['RS256'] };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  });
  const listen = (port: number) => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const issuer: TestIssuer = {
    url: url ?? `http://127.0.0.1:${port}`,
    port,
    audience,
    asked: [],
    answers: {},
    published: [rsaKey()],
    rotate() {
      issuer.published = [rsaKey()];
    },
    async token(claims = {}, { key = issuer.published.at(-1), alg = 'RS256', header } = {}) {
      const { kid, privateKey } = key as IssuerKey;
      const payload = { iss: issuer.url, aud: audience, iat: now(), nbf: now(), exp: now() + 300, ...JOB, ...claims };
      return new SignJWT(payload).setProtectedHeader({ typ: 'JWT', kid, ...header, alg }).sign(privateKey);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
    start: () => listen(port),
  };
  return issuer;
}

function jwkOf({ kid, publicKey }: IssuerKey): object {
  return { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}
