import anyTest, { type TestFn } from 'ava';
import { type Api, apiOf } from './api.ts';
import type { StartTestService, TestService, TestServiceOptions } from './service.ts';

/** `test` for a suite whose tests share one service: it runs from before the first to after the last. */
export function testOfService(
  startTestService: StartTestService,
  options?: TestServiceOptions,
): TestFn<{ service: TestService; api: Api }> {
  const test = anyTest as TestFn<{ service: TestService; api: Api }>;
  test.before(async (t) => {
    const service = await startTestService(options);
    t.context = { service, api: apiOf(service.url) };
  });
  test.after.always(async (t) => {
    await t.context.service?.dispose();
  });
  return test;
}
