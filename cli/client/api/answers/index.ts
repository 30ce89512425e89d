import type * as z from 'zod/mini';

/**
 * What the service may answer: the wire schemas, and in addition what this client relies on. Unknown fields are
 * dropped. Each schema is loaded when its answer is on its way: this table loads none.
 */
const ANSWERS = {
  package: async () => (await import('./packages.ts')).package_,
  packages: async () => (await import('./packages.ts')).packages,
  link: async () => (await import('./links.ts')).link,
  registered: async () => (await import('./files.ts')).registered,
  files: async () => (await import('./files.ts')).files,
  foundFiles: async () => (await import('./files.ts')).foundFiles,
  fileDeletion: async () => (await import('./files.ts')).fileDeletion,
  planned: async () => (await import('./transfers.ts')).planned,
  partUrls: async () => (await import('./transfers.ts')).partUrls,
  upload: async () => (await import('./transfers.ts')).upload,
  committed: async () => (await import('./transfers.ts')).committed,
  downloads: async () => (await import('./transfers.ts')).downloads,
  classes: async () => (await import('./retention.ts')).classes,
  eligible: async () => (await import('./retention.ts')).eligible,
  retention: async () => (await import('./retention.ts')).retention,
  hold: async () => (await import('./retention.ts')).hold,
  limits: async () => (await import('./operations.ts')).limits,
  readiness: async () => (await import('./operations.ts')).readiness,
  diagnosis: async () => (await import('./operations.ts')).diagnosis,
  fixity: async () => (await import('./operations.ts')).fixity,
  fixityRun: async () => (await import('./operations.ts')).fixityRun,
  repairedManifests: async () => (await import('./operations.ts')).repairedManifests,
  sweep: async () => (await import('./operations.ts')).sweep,
  quotas: async () => (await import('./quota.ts')).quotas,
  signingKey: async () => (await import('./keys.ts')).signingKey,
  signingKeys: async () => (await import('./keys.ts')).signingKeys,
  token: async () => (await import('./tokens.ts')).token,
  newToken: async () => (await import('./tokens.ts')).newToken,
  tokens: async () => (await import('./tokens.ts')).tokens,
  share: async () => (await import('./shares.ts')).share,
  newShare: async () => (await import('./shares.ts')).newShare,
  shares: async () => (await import('./shares.ts')).shares,
  webhook: async () => (await import('./webhooks.ts')).webhook,
  newWebhook: async () => (await import('./webhooks.ts')).newWebhook,
  webhooks: async () => (await import('./webhooks.ts')).webhooks,
  webhookTest: async () => (await import('./webhooks.ts')).webhookTest,
  deliveries: async () => (await import('./webhooks.ts')).deliveries,
  replayed: async () => (await import('./webhooks.ts')).replayed,
  audit: async () => (await import('./operations.ts')).audit,
  log: async () => (await import('./log.ts')).log,
  consistency: async () => (await import('./log.ts')).consistency,
} as const;

export type AnswerName = keyof typeof ANSWERS;
export type AnswerOf<Name extends AnswerName> = z.infer<Awaited<ReturnType<(typeof ANSWERS)[Name]>>['schema']>;

/** The checked answer, or what is wrong with it. */
export type Verdict<Name extends AnswerName> = { value: AnswerOf<Name> } | { problem: string };

/** How many bytes an answer may have, and whether it is one. */
export interface Checker<Name extends AnswerName> {
  max: number;
  check: (value: unknown) => Verdict<Name>;
}

/** Items from which on it takes longer to check them by one than to compile a checker first. */
const COMPILED_FROM = 200;

/** @param items how many a list may have */
export async function checkerOf<Name extends AnswerName>(name: Name, items: number): Promise<Checker<Name>> {
  const [{ schema, max, elements }, { elementsWithin, sayIssue }] = await Promise.all([
    ANSWERS[name](),
    import('./answer.ts'),
  ]);
  return {
    max: max(items),
    check: (value) => {
      if (!elementsWithin(value, elements(items))) return { problem: 'its lists are longer than they can be' };
      const { data, error } = schema.safeParse(value, { jitless: items <= COMPILED_FROM });
      return error ? { problem: sayIssue(error) } : { value: data as AnswerOf<Name> };
    },
  };
}
