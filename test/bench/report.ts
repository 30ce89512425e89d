import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { chartOf } from './chart.ts';
import { type Field, type Measurement, type Spread, spreadOf, toolsOf } from './field.ts';
import { median } from './measure.ts';
import type { Store } from './stores.ts';
import { JOBS, type Job, type Tool } from './tools.ts';

export type Found = Tool & { found: string };

const PAGE = fileURLToPath(new URL('../../docs/performance.md', import.meta.url));
const CHART = fileURLToPath(new URL('../../docs/performance.svg', import.meta.url));
const MIB = 1024 ** 2;

export function machine(): string {
  const model = cpus()[0]?.model ?? 'CPU';
  return `${cpus().length} × ${model}, ${Math.round(totalmem() / 1024 ** 3)} GiB, Linux ${release()}, Node ${process.version}`;
}

/** @param keep else the page and the chart stay as they are */
export async function writeReport(run: {
  fields: readonly Field[];
  tools: readonly Found[];
  minutes: number;
  keep: boolean;
}): Promise<void> {
  const { fields, tools, minutes, keep } = run;
  const text = [
    `Measured ${new Date().toISOString().slice(0, 10)} on ${machine()}, client, service and storage on one machine; ` +
      `${Math.round(minutes)} minutes. Seconds of whole processes: median (least to most; one value: one round).`,
    '',
    ...fields.flatMap((field) => tableOf(field, tools)),
    '### What was asked, and what was seen',
    '',
    ...goalsOf(fields),
    '',
    '### The tools',
    '',
    '| tool | version | what it does besides, or does not |',
    '|---|---|---|',
    ...tools.map(({ name, found, besides }) => `| ${cell(name)} | ${cell(found)} | ${besides} |`),
  ].join('\n');
  console.log(text);
  if (!keep) return;
  await replaceMarked('compare', text);
  await writeFile(CHART, chartOf(fields, tools));
}

/** Replaces what stands between the marks of this name in docs/performance.md. */
export async function replaceMarked(name: string, text: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8');
  const [before, after] = [`<!-- bench:${name} -->\n`, `\n<!-- /bench:${name} -->`];
  const [from, to] = [page.indexOf(before), page.indexOf(after)];
  if (from < 0 || to < 0) throw new Error(`docs/performance.md has no marks for bench:${name}`);
  await writeFile(PAGE, page.slice(0, from + before.length) + text + page.slice(to));
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function tableOf(field: Field, tools: readonly Tool[]): string[] {
  const { set, store, bytes } = field;
  const requests = store.kind === 'ceph' ? [' requests | sent to storage |', '---|---|'] : ['', ''];
  return [
    `### ${set.title} (${Math.round(bytes / 1e6)} MB), ${store.title}`,
    '',
    `| tool | push | again | 1 % changed | pull |${requests[0]} client: CPU, memory | service: CPU, memory |`,
    `|---|---|---|---|---|${requests[1]}---|---|`,
    ...toolsOf(field, tools).map((tool) => rowOf(field, tool)),
    '',
  ];
}

function rowOf(field: Field, tool: string): string {
  const pushes = field.measurements.filter((one) => one.tool === tool && one.job === 'push');
  const middle = (of: (one: Measurement) => number): number => median(pushes.map(of));
  const most = (of: (one: Measurement) => number): number => Math.max(...pushes.map(of));
  const traffic = pushes.flatMap(({ traffic: one }) => (one ? [one] : []));
  const cells = [
    cell(tool),
    ...JOBS.map((job) => seconds(spreadOf(field, tool, job))),
    ...(traffic.length > 0
      ? [
          median(traffic.map(({ requests }) => requests)).toLocaleString('en'),
          `${(median(traffic.map(({ bytes }) => bytes)) / 1e6).toFixed(0)} MB`,
        ]
      : []),
    `${middle(({ cpu }) => cpu).toFixed(1)} s, ${Math.round(most(({ memory }) => memory))} MiB`,
    pushes[0]?.service
      ? `${middle(({ service }) => service?.cpu ?? 0).toFixed(1)} s, ${Math.round(most(({ service }) => service?.memory ?? 0))} MiB`
      : '–',
  ];
  return `| ${cells.join(' | ')} |`;
}

function seconds(spread: Spread | null): string {
  if (spread === null) return '–';
  const range = spread.rounds > 1 ? ` (${spread.low.toFixed(2)}–${spread.high.toFixed(2)})` : '';
  return `${spread.median.toFixed(2)}${range}`;
}

/** Ratio of medians that is to be reached. */
interface Goal {
  set: string;
  kind: Store['kind'];
  job: Job;
  peer: string;
  most: number;
}

const GOALS: readonly Goal[] = [
  { set: 'small', kind: 'ceph', job: 'push', peer: 'restic', most: 0.55 },
  { set: 'small', kind: 'ceph', job: 'push', peer: 'rclone', most: 1 / 12 },
  { set: 'small', kind: 'ceph', job: 'again', peer: 'restic', most: 0.4 },
  { set: 'small', kind: 'ceph', job: 'pull', peer: 'restic', most: 0.6 },
  { set: 'small', kind: 'folder', job: 'push', peer: 'borg', most: 0.9 },
  { set: 'large', kind: 'ceph', job: 'push', peer: 'aws s3 cp', most: 1.1 },
  { set: 'large', kind: 'folder', job: 'push', peer: 'cp -r, sync -f', most: 1.3 },
];
const OURSELVES = 'artifact-store';

function goalsOf(fields: readonly Field[]): string[] {
  const ratios = GOALS.flatMap(({ set, kind, job, peer, most }) => {
    const field = fields.find((one) => one.set.name === set && one.store.kind === kind);
    const [ours, theirs] = [OURSELVES, peer].map((tool) => field && spreadOf(field, tool, job));
    if (!field || !ours || !theirs) return [];
    const ratio = ours.median / theirs.median;
    return [line(`${field.set.title}, ${field.store.title}: ${job}, as a share of ${peer}'s time`, ratio, most, 3)];
  });
  const all = fields.flatMap(placed).filter(({ service }) => service !== null);
  const requests = fields
    .filter(({ set, store }) => set.name === 'small' && store.kind === 'ceph')
    .flatMap(({ measurements }) => measurements)
    .filter(({ tool, job }) => tool === OURSELVES && job === 'push')
    .map(({ traffic }) => traffic?.requests ?? 0);
  return [
    '| | seen | at most | |',
    '|---|---|---|---|',
    ...ratios,
    ...(requests.length > 0 ? [line('requests to storage for 10,000 files', median(requests), 40, 0)] : []),
    worst('memory of the client (MB)', all, ({ memory }) => (memory * MIB) / 1e6, 300),
    worst('memory of the service (MB)', all, ({ service }) => ((service?.memory ?? 0) * MIB) / 1e6, 250),
    worst(
      'event loop of the service, 99th percentile of its delay (ms)',
      all,
      ({ service }) => (service?.delay ?? 0) * 1_000,
      50,
    ),
    ...growthOf(fields),
  ];
}

/** What a file costs among many, against among few. */
function growthOf(fields: readonly Field[]): string[] {
  return fields
    .filter(({ set }) => set.name === 'tiny')
    .flatMap((tiny) => {
      const small = fields.find(({ set, store }) => set.name === 'small' && store.kind === tiny.store.kind);
      const [many, few] = [tiny, small].map((field) => field && spreadOf(field, OURSELVES, 'push'));
      if (!small || !many || !few) return [];
      const ratio = many.median / tiny.set.files / (few.median / small.set.files);
      return [line(`${tiny.store.title}: push, per file: 100,000 against 10,000`, ratio, 1.2, 2)];
    });
}

/** A measurement, and what it is one of. */
type Placed = Measurement & { where: string };

function placed({ set, store, measurements }: Field): Placed[] {
  return measurements.map((one) => ({ ...one, where: `${one.job} of ${set.title}, ${store.title}` }));
}

/** The measurement that is furthest from what was asked. */
function worst(what: string, all: readonly Placed[], of: (one: Placed) => number, atMost: number): string {
  const [most] = all.toSorted((a, b) => of(b) - of(a));
  return line(`${what}; most: ${most?.where ?? 'none'}`, most ? of(most) : Number.NaN, atMost, 0);
}

function line(what: string, seen: number, atMost: number, digits: number): string {
  return `| ${what} | ${seen.toFixed(digits)} | ${Number(atMost.toFixed(3))} | ${seen <= atMost ? 'reached' : '**missed**'} |`;
}
