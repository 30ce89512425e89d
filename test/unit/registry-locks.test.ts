import test from 'ava';
import { registryLocksSuite } from '../suites/registry-locks.ts';
import { sqliteRegistries } from '../support/registries.ts';

registryLocksSuite(test, { name: 'SQLite', open: sqliteRegistries });
