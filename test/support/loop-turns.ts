/**
 * Does the work, and measures the turns of the event loop meanwhile, in time that this thread had a processor: how many others
 * want one at that moment does not matter.
 * @returns what the work came to, and the longest turn in ms
 */
export async function turnsOf<T>(work: () => Promise<T>): Promise<[T, number]> {
  let longest = 0;
  let before = process.threadCpuUsage();
  let watching = true;
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, (user + system) / 1_000);
    before = process.threadCpuUsage();
    if (watching) setImmediate(look);
  };
  setImmediate(look);
  try {
    return [await work(), longest];
  } finally {
    look();
    watching = false;
  }
}
