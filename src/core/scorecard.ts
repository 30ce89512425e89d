import type { Json, JsonObject } from './canonical-json.ts';
import { asList, asObject, firstMember, firstText } from './json-fields.ts';

export interface Scorecard {
  /** The weighted percentage as the scorecard states it; recomputed when it states none. */
  score: number | null;
  /** The score that follows from the levels and weights, if every capability group has both. */
  computed: number | null;
  levels: Record<string, number>;
  capabilities: readonly Capability[];
}

/** The highest level of a capability. */
export const LEVEL_MAX = 4;
const GROUPS_MAX = 64;

export interface Capability {
  name: string;
  /** For people; null: none. */
  title: string | null;
  level: number;
  weight: number | null;
}

export function readScorecard(document: Json): Scorecard {
  const capabilities = (asList(document, 'capability_groups', 'groups', 'capabilities') ?? [])
    .slice(0, GROUPS_MAX)
    .map((item) => capability(asObject(item)))
    .filter((found): found is Capability => found !== null);
  const stated = firstMember(
    document,
    'weighted_percentage',
    'score_percent',
    'percentage',
    'overall.weighted_percentage',
    'overall.percentage',
    'overall_score',
    'score',
  );
  const computed = weightedPercentage(capabilities);
  return {
    score: typeof stated === 'number' ? stated : computed,
    computed,
    levels: Object.fromEntries(capabilities.map(({ name, level }) => [name, level])),
    capabilities,
  };
}

function capability(item: JsonObject | null): Capability | null {
  const name = firstText(item ?? undefined, 'id', 'name', 'title', 'group');
  const level = firstMember(item ?? undefined, 'level', 'maturity_level');
  const weight = item?.weight;
  if (name === null || typeof level !== 'number') return null;
  return {
    name,
    title: firstText(item ?? undefined, 'title'),
    level,
    weight: typeof weight === 'number' ? weight : null,
  };
}

function weightedPercentage(capabilities: readonly Capability[]): number | null {
  let total = 0;
  let reached = 0;
  for (const { level, weight } of capabilities) {
    if (weight === null) return null;
    total += weight;
    reached += (level / LEVEL_MAX) * weight;
  }
  return total > 0 ? Math.round((reached / total) * 10_000) / 100 : null;
}
