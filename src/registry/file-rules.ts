import type { FileRule } from '../core/retention.ts';
/** Rules as they stand in a row. @param text null: none */
export function fileRulesOf(text: string | null): FileRule[] {
  return text === null ? [] : (JSON.parse(text) as FileRule[]);
}
