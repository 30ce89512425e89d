/**
 * Group commit for directories: calls that arrive while one directory is being synced share the next sync of it, which
 * begins after all of them have made their names. Without it, 16 uploads that open at once sync `uploads/` 16 times.
 */
export function sharedSync(sync: (dir: string) => Promise<void>): (dir: string) => Promise<void> {
  interface Running {
    current: Promise<void>;
    next: Promise<void> | null;
  }
  const running = new Map<string, Running>();

  function start(dir: string): Promise<void> {
    const entry: Running = { current: sync(dir), next: null };
    entry.current = entry.current.finally(() => {
      if (running.get(dir) === entry) running.delete(dir);
    });
    running.set(dir, entry);
    return entry.current;
  }

  return (dir) => {
    const entry = running.get(dir);
    if (!entry) return start(dir);
    entry.next ??= entry.current.catch(() => {}).then(() => start(dir));
    return entry.next;
  };
}
