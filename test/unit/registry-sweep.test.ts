import test from 'ava';
import { registrySweepSuite } from '../suites/registry-sweep.ts';
import { sqliteRegistries } from '../support/registries.ts';

registrySweepSuite(test, { name: 'SQLite', open: sqliteRegistries });
