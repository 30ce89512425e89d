import { join, resolve } from 'node:path';

/** A folder of `test/run.ts`, in which the package is built as an installation has it; unset: it was not. */
export const BUILT_VARIABLE = 'ARTIFACT_STORE_TEST_BUILT';

const { [BUILT_VARIABLE]: built } = process.env;

/** What a process of the command line runs: in `npm test` the bundle, which starts in a fraction of the time; else the source. */
export const BIN = built ? join(built, 'dist/cli/bin.js') : resolve(import.meta.dirname, '../../cli/bin.ts');
