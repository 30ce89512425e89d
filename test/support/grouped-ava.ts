import { registerHooks } from 'node:module';
import test from 'ava';

const LATER = new URL('declared-later.ts', import.meta.url).href;

/** ava calls it in the process of each test file, before it loads that file. The files of a group get an ava that declares their tests later. */
export default function groupedAva(): void {
  if (!test.meta.file.includes('/test/groups/')) return;
  registerHooks({
    resolve(specifier, context, next) {
      if (specifier !== 'ava' || context.parentURL === LATER) return next(specifier, context);
      return { url: LATER, format: 'module-typescript', shortCircuit: true };
    },
  });
}
