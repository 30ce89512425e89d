import test from 'ava';
import { registrySuite } from '../suites/registry.ts';
import { sqliteRegistries } from '../support/registries.ts';

registrySuite(test, { name: 'SQLite', open: sqliteRegistries });
