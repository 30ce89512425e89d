import anyTest, { type ExecutionContext } from 'ava';
import { type Api, apiOf } from './api.ts';
import type { StartTestService, TestService, TestServiceOptions } from './service.ts';

type Run<Fixture> = (t: ExecutionContext<Fixture>) => unknown;

/** `test` of a suite, whose tests have its fixture as their context. */
export interface SuiteTest<Fixture> {
  (title: string, run: Run<Fixture>): void;
  serial(title: string, run: Run<Fixture>): void;
}

/**
 * `test` for a suite whose tests share one fixture: it is made before the first, and its service ends after the last. Hooks and contexts
 * are a process's, which other suites may have with it (`test/support/group-files.ts`): so each test gets that of its own suite.
 */
export function testWith<Fixture extends { service: TestService }>(make: () => Promise<Fixture>): SuiteTest<Fixture> {
  let fixture: Fixture | undefined;
  anyTest.before(async () => {
    fixture = await make();
  });
  anyTest.after.always(() => fixture?.service.dispose());
  const within =
    (run: Run<Fixture>) =>
    (t: ExecutionContext): unknown => {
      t.context = fixture;
      return run(t as ExecutionContext<Fixture>);
    };
  return Object.assign((title: string, run: Run<Fixture>) => anyTest(title, within(run)), {
    serial: (title: string, run: Run<Fixture>) => anyTest.serial(title, within(run)),
  });
}

/** `test` for a suite whose tests share one service. */
export function testOfService(
  startTestService: StartTestService,
  options?: TestServiceOptions,
): SuiteTest<{ service: TestService; api: Api }> {
  return testWith(async () => {
    const service = await startTestService(options);
    return { service, api: apiOf(service.url) };
  });
}
