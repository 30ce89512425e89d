import test from 'ava';
import { measureAs } from './file-times.ts';

/** ava calls it in the process of each test file, before it loads that file. */
export default function measureFile(): void {
  measureAs(test.meta.file);
}
