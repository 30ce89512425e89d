import { appendFileSync, readFileSync } from 'node:fs';

/** What a test file cost: seconds of wall time, and seconds of CPU of its process and of all children it waited for. */
export interface FileTime {
  file: string;
  wall: number;
  cpu: number;
}

/** A file that `test/run.ts` reads; each process that is measured appends a line of JSON. */
export const TIMES_VARIABLE = 'ARTIFACT_STORE_TEST_TIMES_LIST';
/** Whose test file this process serves. */
const FILE_VARIABLE = 'ARTIFACT_STORE_TEST_FILE';

/** Clock ticks per second in /proc; Linux has 100 for every program. */
const TICKS = 100;

/** @returns seconds of CPU of this process and of its ended children; of this process alone where there is no /proc */
export function cpuSeconds(): number {
  try {
    const stat = readFileSync('/proc/self/stat', 'utf8');
    // The name of the program, in parentheses, may hold blanks: fields are counted behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = fields.slice(11, 15).map(Number);
    return ticks.reduce((sum, each) => sum + each, 0) / TICKS;
  } catch {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  }
}

/** From now on what this process costs is that of a test file. */
export function measureAs(file: string): void {
  process.env[FILE_VARIABLE] = file;
  process.on('exit', () => addTime(file, process.uptime()));
}

/** For the environment of a process that nobody waits for, which calls `measureHelper`. */
export function helperEnv(): Record<string, string> {
  const { [TIMES_VARIABLE]: list, [FILE_VARIABLE]: file } = process.env;
  return list === undefined || file === undefined ? {} : { [TIMES_VARIABLE]: list, [FILE_VARIABLE]: file };
}

/** Adds what this process costs to that of the test file it serves. */
export function measureHelper(): void {
  const { [FILE_VARIABLE]: file } = process.env;
  if (file !== undefined) process.on('exit', () => addTime(file, 0));
}

function addTime(file: string, wall: number): void {
  const list = process.env[TIMES_VARIABLE];
  if (list) appendFileSync(list, `${JSON.stringify({ file, wall, cpu: cpuSeconds() } satisfies FileTime)}\n`);
}

/**
 * @param lines that `addTime` wrote
 * @param rows of the table: the files that took most CPU, which others who load the machine change less than wall time
 * @returns a table in Markdown
 */
export function tableOfTimes(lines: readonly string[], rows: number): string {
  const byFile = new Map<string, FileTime>();
  for (const line of lines) {
    const { file, wall, cpu }: FileTime = JSON.parse(line);
    const others = byFile.get(file) ?? { wall: 0, cpu: 0 };
    byFile.set(file, { file, wall: others.wall + wall, cpu: others.cpu + cpu });
  }
  const times = [...byFile.values()];
  const slowest = times
    .toSorted((a, b) => b.cpu - a.cpu)
    .slice(0, rows)
    .map(({ file, wall, cpu }) => `| ${fromTest(file)} | ${wall.toFixed(1)} | ${cpu.toFixed(1)} |`);
  const [wall, cpu] = [sum(times.map((time) => time.wall)), sum(times.map((time) => time.cpu))];
  const all = `| all ${times.length} files | ${wall.toFixed(1)} | ${cpu.toFixed(1)} |`;
  return ['| File | Wall, s | CPU, s |', '| --- | ---: | ---: |', ...slowest, all].join('\n');
}

function fromTest(url: string): string {
  return decodeURI(url.slice(url.lastIndexOf('/test/') + 1));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
