import { type LookupAddress, type LookupAllOptions, promises, lookup as systemLookup } from 'node:dns';

/** As `dns.lookup` with `all`. */
export type HostLookup = (
  host: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, found: LookupAddress[]) => void,
) => void;

type Resolver = Pick<promises.Resolver, 'resolve4' | 'resolve6'>;

/**
 * Names that DNS does not have may stand in the system's files, or below one of its search domains; and there may be no name server.
 */
const UNKNOWN = new Set(['ENOTFOUND', 'ENODATA', 'ECONNREFUSED']);
const TIMEOUT_MS = 5_000;

/**
 * Looks up names that strangers choose. The system does so on threads, half of the few that the process has, and each waits for a name
 * server that does not answer: a few such names would hold up everybody's. So DNS is asked here, without a thread, and the system only
 * about what DNS does not have: one name at a time, and each once for all who ask meanwhile.
 */
export function hostLookup(
  resolver: Resolver = new promises.Resolver({ timeout: TIMEOUT_MS, tries: 2 }),
  system: HostLookup = systemLookup,
): HostLookup {
  const bySystem = new Map<string, Promise<LookupAddress[]>>();
  let last: Promise<unknown> = Promise.resolve();

  function askSystem(host: string, options: LookupAllOptions): Promise<LookupAddress[]> {
    const asked = bySystem.get(host);
    if (asked !== undefined) return asked;
    const found = last.then(() => lookedUp(system, host, options)).finally(() => bySystem.delete(host));
    last = found.catch(() => {});
    bySystem.set(host, found);
    return found;
  }

  async function find(host: string, options: LookupAllOptions): Promise<LookupAddress[]> {
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
    const found = answers.flatMap((answer, index) =>
      answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family: index === 0 ? 4 : 6 })) : [],
    );
    if (found.length > 0) return found;
    const failure = answers.flatMap(({ status, ...answer }) => ('reason' in answer ? [answer.reason] : []));
    const other = failure.find(({ code }) => !UNKNOWN.has(code));
    if (other !== undefined) throw other;
    return askSystem(host, options);
  }

  return (host, options, done) => {
    find(host, options).then(
      (found) => done(null, found),
      (error) => done(error, []),
    );
  };
}

function lookedUp(lookup: HostLookup, host: string, options: LookupAllOptions): Promise<LookupAddress[]> {
  return new Promise((resolve, reject) => {
    lookup(host, options, (error, found) => (error === null ? resolve(found) : reject(error)));
  });
}
