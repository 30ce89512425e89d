import { olderRegistrySuite } from '../suites/older-registry.ts';

olderRegistrySuite('folder', async () => ({}));
