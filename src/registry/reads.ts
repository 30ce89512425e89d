import type { Knex } from 'knex';

/** What a caller may read: everything, or the packages of some producers. */
export type Reads = { all: true } | { producers: readonly string[] };

export const EVERYTHING: Reads = { all: true };

export function mayRead(reads: Reads, pkg: { producer: string }): boolean {
  return 'all' in reads || reads.producers.includes(pkg.producer);
}

/** Narrows a query over `packages` to what the caller may read. */
export function onlyReadable(query: Knex.QueryBuilder, reads: Reads): void {
  if (!('all' in reads)) query.whereIn('packages.producer', [...reads.producers]);
}
