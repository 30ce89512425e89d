import { lintSource } from '@secretlint/core';
import { secretLintProfiler } from '@secretlint/profiler';
import { rules as preset } from '@secretlint/secretlint-rule-preset-recommend';
import type { SecretLintCoreConfig } from '@secretlint/types';
import { KNOWN_FORMS } from './known-forms.ts';
import { NAMED_VALUES } from './named-values.ts';

/** A secret in a text: where it stands, never what it is. */
export interface LintedSecret {
  start: number;
  end: number;
  kind: string;
}

/** Of the preset, and left out: its comments would let a log say of itself that nothing is to be found in it. */
const COMMENTS = '@secretlint/secretlint-rule-filter-comments';

const CONFIG: SecretLintCoreConfig = {
  rules: [...preset.filter(({ meta }) => meta.id !== COMMENTS), ...NAMED_VALUES, ...KNOWN_FORMS].map((rule) => ({
    id: rule.meta.id,
    rule,
  })),
};

// It remembers every call for ever.
secretLintProfiler.setEnabled(false);

/**
 * What secretlint finds in a text: its recommended preset, and our own rules. Loaded when an anchor was seen and not before: it
 * takes longer to load than most directories take to be looked through.
 */
export async function lintText(content: string): Promise<LintedSecret[]> {
  const { messages } = await lintSource({
    source: { content, filePath: 'text', ext: '', contentType: 'text' },
    options: { config: CONFIG, noPhysicFilePath: true },
  });
  return messages.map(({ range: [start, end], ruleId }) => ({ start, end, kind: kindOf(ruleId) }));
}

/** `@secretlint/secretlint-rule-github` is `github`. */
function kindOf(ruleId: string): string {
  return ruleId.replace(/^@secretlint\/secretlint-rule-/, '');
}
