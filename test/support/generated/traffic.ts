import fc from 'fast-check';
import { Connection, type WireAnswer } from './connection.ts';
import { judge } from './judge.ts';
import type { Prepared } from './prepare.ts';
import { type Recipe, recipes } from './recipe.ts';
import { bytesOfRequest, inOriginForm, type WireRequest, wireOf } from './wire.ts';

const CONNECTIONS = 16;
/** Recipes that are made at once. */
const BLOCK = 1_000;
/** Far longer than any answer takes: a request that has none by then hangs. */
const HANGS_MS = 60_000;
const TRIES = 5;
const AGAIN_MS = 500;
const SHOWN = 3_000;

/** One kind of fault: what is wrong, of which operation. */
export interface Fault {
  what: string;
  /** How many requests showed it. */
  times: number;
  /** The first of them: the recipe, and what went over the wire. */
  first: string;
}

export interface Traffic {
  faults: Fault[];
  /** Of each operation, and of `none`, how many requests were answered how: by status, and by the code of a problem. */
  answers: Map<string, Map<string, number>>;
  sent: number;
}

/** Sends generated requests, several at a time. @param requests how many @param seed gives the same recipes again */
export async function sendGenerated(
  { url, token, document, pool }: Prepared,
  { requests, seed }: { requests: number; seed: number },
): Promise<Traffic> {
  const { host } = new URL(url);
  const arbitrary = recipes(document);
  const faults = new Map<string, Fault>();
  const answers: Traffic['answers'] = new Map();
  let sent = 0;
  let left: Recipe[] = [];

  function next(): Recipe | undefined {
    if (left.length === 0 && sent < requests) {
      const numRuns = Math.min(BLOCK, requests - sent);
      left = fc.sample(arbitrary, { numRuns, seed: seed + sent }).toReversed();
      sent += numRuns;
    }
    return left.pop();
  }

  function note(recipe: Recipe, request: WireRequest, what: string): void {
    // Ids and numbers differ from request to request.
    const kind = `${recipe.operation.id} ${what.replaceAll(/\w*\d\w*/g, '#')}`.slice(0, 300);
    const fault = faults.get(kind) ?? {
      what: `${recipe.operation.id} ${what}`,
      times: 0,
      first: told(recipe, request),
    };
    faults.set(kind, { ...fault, times: fault.times + 1 });
  }

  async function work(): Promise<void> {
    const connection = new Connection(url);
    for (let recipe = next(); recipe !== undefined; recipe = next()) {
      const request = wireOf(recipe, pool, token);
      try {
        const answer = await patiently(() => answerTo(connection, bytesOfRequest(request, host), request));
        const meant = inOriginForm(request);
        const operation = document.find(meant.method, meant.target);
        count(answers, operation?.id ?? 'none', answer);
        const wrong = judge({ document, token }, operation, meant, answer);
        if (wrong !== null) note(recipe, request, wrong);
        // What is only asked for its headers has no content.
        const asked = request.method === 'HEAD' ? null : operation;
        pool.learn(asked?.id ?? null, meant.target, answer.status, answer.body.toString());
      } catch (error) {
        connection.close();
        note(recipe, request, (error as Error).message);
      }
    }
    connection.close();
  }

  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  return { faults: [...faults.values()], answers, sent };
}

/** What is not there yet (503) is asked for again, as the answer says; in the end it is a fault. */
async function patiently(ask: () => Promise<WireAnswer>): Promise<WireAnswer> {
  for (let left = TRIES; ; left -= 1) {
    const answer = await ask();
    if (answer.status !== 503 || left === 1) return answer;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}

/** @throws Error when there is none */
async function answerTo(connection: Connection, bytes: Buffer, { method }: WireRequest): Promise<WireAnswer> {
  let timer: NodeJS.Timeout | undefined;
  const hangs = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('hangs')), HANGS_MS);
  });
  try {
    return await Promise.race([connection.exchange(bytes, method === 'HEAD'), hangs]);
  } finally {
    clearTimeout(timer);
  }
}

function count(answers: Traffic['answers'], operation: string, { status, body }: WireAnswer): void {
  const counted = answers.get(operation) ?? new Map<string, number>();
  answers.set(operation, counted);
  const code = status < 400 ? undefined : /"code":"(\w+)"/.exec(body.toString('latin1', 0, 2_000))?.[1];
  const how = code === undefined ? String(status) : `${status} ${code}`;
  counted.set(how, (counted.get(how) ?? 0) + 1);
}

function told({ operation, ...recipe }: Recipe, { method, target, headers, body }: WireRequest): string {
  const lines = [
    `${method} ${target}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    '',
    body?.toString() ?? '',
  ];
  return `${lines.join('\n').slice(0, SHOWN)}\n\nmade of ${operation.id}, ${fc.stringify(recipe)}`.slice(0, 2 * SHOWN);
}
