/** What a reading has found so far. Amounts are of objects, and of their bytes in storage. */
export interface FixityReport {
  objects: number;
  bytes: number;
  good: number;
  /** Wrong bytes, seen twice. */
  damaged: number;
  /** Storage does not have them, or not whole. */
  missing: number;
  /** Could not be read: that says nothing of their bytes. They are read again. */
  unread: number;
  /** Of those that are damaged or missing, of how many that was not known before. */
  newly: number;
}

export function emptyFixityReport(): FixityReport {
  return { objects: 0, bytes: 0, good: 0, damaged: 0, missing: 0, unread: 0, newly: 0 };
}

/** @param bytes in storage */
export function addVerdict(
  report: FixityReport,
  result: 'good' | 'damaged' | 'missing' | 'unread',
  newly: boolean,
  bytes: number,
): void {
  report.objects += 1;
  report.bytes += bytes;
  report[result] += 1;
  if (newly) report.newly += 1;
}
