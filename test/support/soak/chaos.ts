import { setTimeout as sleep } from 'node:timers/promises';
import { untilFrozen } from '../frozen.ts';
import type { Happened, Stage } from './actors.ts';
import type { SoakServices } from './services.ts';

/** One service is always up, else all wait: for as long as another is started. */
const LEAST_UP = 1;

/**
 * Kills and freezes services and pushers at random. @returns when all that it stopped goes on again, or was started anew
 */
export async function chaos(stage: Stage, services: SoakServices): Promise<void> {
  const { diary, random } = stage;
  const work = new Set<Promise<void>>();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => {});
  const beside = (doing: Promise<void>): void => {
    const done = doing.catch(failed.reject).finally(() => work.delete(done));
    work.add(done);
  };
  while (!stage.over()) {
    await Promise.race([sleep(300 + 1_200 * random()), failed.promise]);
    const what = chosen(stage);
    if (!mayDisturb(stage, what.startsWith('service') ? 'service' : 'pusher')) continue;
    if (what === 'service killed') {
      if (services.up <= LEAST_UP && random() < 0.8) continue;
      diary.note('a service is killed');
      diary.count('service killed');
      beside(services.kill(random));
    } else if (what === 'service frozen') {
      if (services.up > LEAST_UP) beside(freezeService(stage, services));
    } else if (what === 'pusher killed') killPusher(stage);
    else beside(freezePusher(stage));
  }
  await Promise.race([Promise.all(work), failed.promise]);
}

type Disturbance = Extract<Happened, `${'service' | 'pusher'} ${'killed' | 'frozen'}`>;
/** How often each comes, of all. */
const SHARES: Readonly<Record<Disturbance, number>> = {
  'service killed': 0.3,
  'service frozen': 0.25,
  'pusher killed': 0.25,
  'pusher frozen': 0.2,
};

/** What has not happened yet comes first: a short soak has each once. */
function chosen({ diary: { counts }, random }: Stage): Disturbance {
  const all = Object.entries(SHARES) as Array<[Disturbance, number]>;
  const left = all.filter(([what]) => !counts.has(what));
  const among = left.length > 0 ? left : all;
  let at = random() * among.reduce((sum, [, share]) => sum + share, 0);
  for (const [what, share] of among) {
    at -= share;
    if (at < 0) return what;
  }
  return 'service killed';
}

/** However slow a machine is, what is done outweighs what is disturbed: each gets on. */
function mayDisturb({ diary: { counts } }: Stage, whom: 'service' | 'pusher'): boolean {
  const times = (...what: Happened[]): number => what.reduce((sum, each) => sum + (counts.get(each) ?? 0), 0);
  const disturbed = times(`${whom} killed`, `${whom} frozen`);
  if (whom === 'pusher') return disturbed < 3 + times('push');
  return disturbed < 3 + times('push', 'delete', 'files removed', 'sweep') / 2;
}

async function freezeService({ diary, random }: Stage, services: SoakServices): Promise<void> {
  const [pause, leasesEnd, dies] = [300 + 3_500 * random(), random() < 0.7, random() < 0.2];
  const replica = await services.freeze(random);
  if (replica === null) return;
  diary.note(`a service is frozen for ${Math.round(pause)} ms${leasesEnd ? ', and its leases end' : ''}`);
  diary.count('service frozen');
  if (leasesEnd) await services.endLeases(replica);
  await sleep(pause);
  if (dies) await services.killFrozen(replica);
  else services.thaw(replica);
}

function chosenPusher({ processes, random }: Stage) {
  return [...processes.entries()][Math.floor(random() * processes.size)];
}

function killPusher(stage: Stage): void {
  const [n, child] = chosenPusher(stage) ?? [];
  if (child === undefined) return;
  if (!child.kill('SIGKILL')) return;
  stage.diary.note(`pusher ${n} is killed`);
  stage.diary.count('pusher killed');
}

async function freezePusher(stage: Stage): Promise<void> {
  const pause = 300 + 3_000 * stage.random();
  const [n, child] = chosenPusher(stage) ?? [];
  if (child === undefined) return;
  stage.diary.note(`pusher ${n} is frozen for ${Math.round(pause)} ms`);
  stage.diary.count('pusher frozen');
  child.kill('SIGSTOP');
  await untilFrozen(child);
  await sleep(pause);
  child.kill('SIGCONT');
}
