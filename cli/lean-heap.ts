import { setFlagsFromString } from 'node:v8';

/**
 * Has V8 collect garbage before the heap is half as large again as what was alive the last time. By itself it lets a small
 * heap grow fourfold: a push of 100,000 files then needs 70 MB more in the service and a pull of them 75 MB more in the client,
 * and neither is faster for it (docs/performance.md).
 *
 * Keeps V8's space for young objects as small as it is now. In a process that is busy for some seconds it would grow to
 * 128 MB, and to half of that in each thread, without making a push or the service faster. V8 reads the flag whenever it
 * may grow.
 *
 * And empties it, between two things that it has to do, when a fifth of it is full, not four fifths. Bytes that stream come in
 * buffers of 64 KiB, which lie outside of it and are freed with the small objects that stand for them: of those, some 50 MB
 * wait in four fifths. Many are dead by then, so that each time costs less than a millisecond: less than it costs to wake
 * other threads for it, so one does it alone.
 *
 * Called when a command has loaded what it needs: V8 takes nothing that was compiled under other flags, so whatever is loaded
 * after this, `node:http` too, is compiled again.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--minor-gc-task-trigger=20');
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--heap-growing-percent=50');
}
