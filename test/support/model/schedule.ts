import { setImmediate as nextTurn } from 'node:timers/promises';

/** What a process is told whose time is over: nothing that it does afterwards has an effect. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

interface Step {
  process: string;
  what: string;
  take(): Promise<void>;
  kill(): void;
}

/**
 * Decides who goes on: whatever touches the registry or the store waits at a gate, and one is let through at a time, to its end. Whoever
 * is let through last might as well have been frozen.
 */
export class Schedule {
  readonly #waiting: Step[] = [];
  readonly #dead = new Set<string>();
  /** What was done, for who reads a failure. */
  readonly log: string[] = [];

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Waits for its turn, then does it. @throws Killed */
  gate<T>(process: string, what: string, work: () => Promise<T>): Promise<T> {
    if (this.#dead.has(process)) return Promise.reject(new Killed(process));
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push({
        process,
        what,
        async take() {
          await work().then(resolve, reject);
        },
        kill: () => reject(new Killed(process)),
      });
    });
  }

  /** Lets one go on; those who follow from it are waiting when this returns. @param choice any number */
  async step(choice: number): Promise<void> {
    const [step] = this.#waiting.splice(choice % this.#waiting.length, 1);
    if (step === undefined) return;
    this.log.push(`${step.process}: ${step.what}`);
    await step.take();
    await this.settle();
  }

  /** All that can be done without a gate is done. */
  async settle(): Promise<void> {
    for (let quiet = 0, before = -1; quiet < 2; ) {
      await nextTurn();
      quiet = before === this.#waiting.length ? quiet + 1 : 0;
      before = this.#waiting.length;
    }
  }

  /** A process dies: what it was about to do is not done. */
  kill(process: string): void {
    this.log.push(`${process} dies`);
    this.#dead.add(process);
    for (const step of this.#waiting.filter((each) => each.process === process)) step.kill();
    this.#waiting.splice(0, Infinity, ...this.#waiting.filter((each) => each.process !== process));
  }
}
