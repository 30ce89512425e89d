import type { Api } from './api.ts';

/** The value of each series of /metrics: `name{label="value"}`. */
export async function metricsOf(api: Api): Promise<Map<string, number>> {
  const { status, body } = await api.get('/metrics');
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`);
  const lines = (body as string).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))] as const;
    }),
  );
}

/** The type of each metric that /metrics serves, whether it has a number yet or not. */
export async function typesOfMetrics(api: Api): Promise<Map<string, string>> {
  const lines = ((await api.get('/metrics')).body as string).matchAll(/^# TYPE (\S+) (\S+)$/gm);
  return new Map([...lines].map(([, name, type]) => [name as string, type as string]));
}

/** An answer is counted once it has gone out: asks until there are so many, or more. */
export async function metricsFrom(api: Api, series: string, value: number): Promise<Map<string, number>> {
  for (;;) {
    const metrics = await metricsOf(api);
    if ((metrics.get(series) ?? 0) >= value) return metrics;
  }
}

/** Those of one metric that are not 0, by their labels. */
export function nonZero(metrics: ReadonlyMap<string, number>, name: string): Record<string, number> {
  return Object.fromEntries(
    [...metrics].flatMap(([series, value]) =>
      series.startsWith(`${name}{`) && value !== 0 ? [[series.slice(name.length), value]] : [],
    ),
  );
}
