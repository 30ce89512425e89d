import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, apiOf } from '../api.ts';
import { type CliEnding, runCli } from '../cli-child.ts';
import { writeTree } from '../tree.ts';
import type { Plan, PlannedPackage } from './plan.ts';

/** A package that a push has acknowledged, and what has been asked for since. */
export interface Pushed {
  id: string;
  plan: PlannedPackage;
  /** As `sha256sum` lists its files. */
  list: string;
  /** `ending`: somebody deletes it, or removes its files, and it is not known yet whether that was done. */
  state: 'whole' | 'ending' | 'ended';
}

/** What happened, for whoever asks whether a soak was worth it. */
export type Happened =
  | 'push'
  | 'push repeated'
  | 'delete'
  | 'files removed'
  | 'sweep'
  | 'fixity'
  | 'verify'
  | 'service killed'
  | 'service frozen'
  | 'pusher killed'
  | 'pusher frozen';

/** Half a sentence and a time for each: the last ones are told when a soak fails. */
export class Diary {
  readonly lines: string[] = [];
  readonly counts = new Map<Happened, number>();
  readonly #began = Date.now();

  note(text: string): void {
    this.lines.push(`${((Date.now() - this.#began) / 1_000).toFixed(1)} s: ${text}`);
  }

  count(what: Happened): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }
}

/** Where actors act. */
export interface Stage {
  url: string;
  dir: string;
  plan: Plan;
  diary: Diary;
  pushed: Pushed[];
  /** Pushers' processes, by pusher. */
  processes: Map<number, ChildProcess>;
  random: () => number;
  /** Nothing new is begun any more. */
  over: () => boolean;
  /** All is given up. */
  signal: AbortSignal;
}

/** Exit codes of a push that may be repeated. 5, bytes that are wrong or gone, is never one. */
const MAY_BE_REPEATED: readonly (number | null)[] = [null, 1, 4, 6];
/** Pushes of one package after which there is something that does not pass. */
const PUSHES_MAX = 25;
/** What a service that is disturbed says of work that it was asked for. */
const DISTURBED = ['unavailable', 'internal'];
const POLL_MS = 100;
/** A service says that something was interrupted when it has not heard of it for two minutes: another one is begun before. */
const PATIENCE_MS = 5_000;

/** Pushes one package after the other, each until it is there, however often that takes. */
export async function pusher(stage: Stage, n: number): Promise<void> {
  const { plan, diary, pushed } = stage;
  while (!stage.over()) {
    const planned = plan.next(n);
    const run = join(stage.dir, `run-${n}`);
    const contents = Object.entries(planned.files).map(([path, number]) => [path, plan.bytesOf(number)] as const);
    await writeTree(run, Object.fromEntries(contents));
    const { json } = await pushUntilThere(stage, n, run, planned);
    const status = planned.fate === 'open' ? 'uploading' : 'finalized';
    if (json.status !== status) throw new Error(`push: ${planned.externalId} is ${json.status}, not ${status}`);
    const lines = contents.map(([path, bytes]) => `${createHash('sha256').update(bytes).digest('hex')}  ${path}\n`);
    pushed.push({ id: json.package_id, plan: planned, list: lines.toSorted(byPath).join(''), state: 'whole' });
    diary.count('push');
    await rm(run, { recursive: true });
  }
}

function byPath(a: string, b: string): number {
  return a.slice(66) < b.slice(66) ? -1 : 1;
}

async function pushUntilThere(stage: Stage, n: number, run: string, planned: PlannedPackage): Promise<CliEnding> {
  const { diary, processes } = stage;
  const { externalId, fate, isRevision } = planned;
  const args = [
    ...['push', run, '--json', '--url', stage.url, '--producer', `producer-${n % 2}`, '--external-id', externalId],
    ...['--retention-class', `soak-${fate}`],
    ...(isRevision ? ['--revision'] : []),
    ...(fate === 'open' ? ['--no-finalize'] : []),
  ];
  const env = { XDG_CACHE_HOME: join(stage.dir, `cache-${n}`) };
  for (let times = 1; ; times += 1) {
    stage.signal.throwIfAborted();
    const ending = await runCli(args, { env, onSpawn: (child) => processes.set(n, child) });
    processes.delete(n);
    const { code, signal, stdout, stderr } = ending;
    if (code === 0) return ending;
    const what = `push ${externalId} ended with ${code ?? signal}: ${stderr.trim().slice(-500) || stdout.trim().slice(-500)}`;
    diary.note(what);
    if (!MAY_BE_REPEATED.includes(code) || times === PUSHES_MAX) throw new Error(`push ${times}: ${what}`);
    diary.count('push repeated');
  }
}

/** Deletes what may be deleted, and removes the files that may be removed, soon after they were pushed. */
export async function deleter(stage: Stage): Promise<void> {
  const { diary, pushed, random } = stage;
  while (!stage.over()) {
    await sleep(100 + 300 * random());
    const may = pushed.filter(({ state, plan }) => state === 'whole' && plan.fate !== 'kept');
    const chosen = may[Math.floor(random() * may.length)];
    if (chosen === undefined) continue;
    const { id, plan } = chosen;
    chosen.state = 'ending';
    if (plan.fate === 'thinned') {
      const paths = Object.keys(plan.files).filter((path) => path.startsWith('raw/'));
      await askUntilDone(stage, 'POST', `/v1/packages/${id}/file-deletions`, { paths, reason: 'soak' });
      diary.count('files removed');
    } else {
      await askUntilDone(stage, 'DELETE', `/v1/packages/${id}?reason=soak`);
      diary.count('delete');
    }
    diary.note(`${id} (${plan.externalId}): ${plan.fate}`);
    chosen.state = 'ended';
  }
}

/** For what may be asked again. @throws Error when the service says that it will never do it */
async function askUntilDone(stage: Stage, method: string, path: string, body?: unknown): Promise<Answer> {
  for (;;) {
    const answer = await asked(stage, method, path, body);
    if (answer !== null && answer.status < 300) return answer;
    if (answer !== null && answer.status < 500) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    stage.diary.note(`${method} ${path}: ${answer?.body.code ?? 'no answer'}`);
    await sleep(POLL_MS);
  }
}

/** Null: the service died before it answered. */
async function asked({ url, signal }: Stage, method: string, path: string, body?: unknown): Promise<Answer | null> {
  signal.throwIfAborted();
  try {
    return await apiOf(url).call(method, path, body);
  } catch {
    return null;
  }
}

/** Begins something that goes on after its answer. @returns it when it has ended; null: it was not heard of, or not any more */
async function ended(stage: Stage, path: string, options: object): Promise<Answer['body'] | null> {
  const began = await asked(stage, 'POST', path, options);
  if (began === null || began.status >= 500) return null;
  if (began.status !== 202) throw new Error(`POST ${path}: ${JSON.stringify(began.body)}`);
  for (const until = Date.now() + PATIENCE_MS; Date.now() < until; ) {
    await sleep(POLL_MS);
    const now = await asked(stage, 'GET', `${path}/${began.body.id}`);
    if (now !== null && now.status < 300 && now.body.state !== 'running') return now.body;
  }
  return null;
}

export async function sweeper(stage: Stage): Promise<void> {
  while (!stage.over()) {
    const sweep = await ended(stage, '/v1/operations/sweeps', { apply: true, max_dead: 10 });
    if (sweep?.state === 'done') {
      stage.diary.count('sweep');
      if (sweep.report.missing.count > 0) throw new Error(`a sweep misses objects: ${JSON.stringify(sweep)}`);
    }
    if (sweep?.state === 'failed') {
      stage.diary.note(`${sweep.id} failed: ${sweep.error.detail}`);
      if (!DISTURBED.includes(sweep.error.code)) throw new Error(`a sweep failed: ${JSON.stringify(sweep.error)}`);
    }
    await sleep(200 + 400 * stage.random());
  }
}

/** What lives is read, and is right at any time. */
export async function fixityReader(stage: Stage): Promise<void> {
  while (!stage.over()) {
    const run = await ended(stage, '/v1/operations/fixity', {});
    if (run !== null) {
      const { damaged, missing, newly } = run.report;
      if (damaged + missing + newly > 0) throw new Error(`a fixity check: ${JSON.stringify(run)}`);
      if (run.state === 'done') stage.diary.count('fixity');
    }
    await sleep(1_000);
  }
}

/** As a client reads: what was acknowledged, and nobody ends, is whole while bytes move under it. */
export async function reader(stage: Stage): Promise<void> {
  while (!stage.over()) {
    await sleep(500);
    const whole = stage.pushed.filter(({ state, plan }) => state === 'whole' && plan.fate === 'kept');
    const chosen = whole[Math.floor(stage.random() * whole.length)];
    if (chosen === undefined) continue;
    const { code, stdout, stderr } = await runCli(['verify', chosen.id, '--url', stage.url]);
    if (code === 0) stage.diary.count('verify');
    // Unreachable; or interrupted in a service that died.
    else if (code === 6 || code === 1) stage.diary.note(`verify ${chosen.id}: ${code} ${stderr.trim().slice(-300)}`);
    else throw new Error(`verify ${chosen.id} ended with ${code}: ${stdout}${stderr}`);
  }
}
