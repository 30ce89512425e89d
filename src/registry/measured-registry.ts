import { type CallMeter, metered, type RegistryOperation } from '../core/call-meter.ts';
import type { ReadTables } from './read-tables.ts';
import type { Registry } from './registry.ts';

type Read = (...args: unknown[]) => Promise<unknown>;

/**
 * The same registry, timed: each read, and each transaction with its wait for a connection, its locks and its attempts. One call is one
 * time, however many rows it is about: never one for each file.
 */
export function measuredRegistry(registry: Registry, meter: CallMeter<RegistryOperation>): Registry {
  const { now } = registry.read;
  const timed =
    (read: Read): Read =>
    (...args) =>
      metered(meter, 'read', () => read(...args));
  const tables = Object.entries(registry.read as unknown as Record<string, Record<string, Read>>).map(
    ([name, table]) => [
      name,
      Object.fromEntries(Object.entries(table).map(([method, read]) => [method, timed(read)] as const)),
    ],
  );
  return {
    ...registry,
    read: {
      ...(Object.fromEntries(tables) as ReadTables),
      // SQLite is not asked for it.
      now: registry.kind === 'sqlite' ? now : (timed(now) as typeof now),
    },
    transaction: (work) => metered(meter, 'transaction', () => registry.transaction(work)),
  };
}
