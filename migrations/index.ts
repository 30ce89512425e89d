import type { Knex } from 'knex';
import * as registry from './0001_registry.ts';
import * as revisions from './0002_revisions_and_lost_objects.ts';
import * as storedForms from './0003_stored_forms.ts';
import * as lighterRows from './0004_lighter_rows.ts';
import * as lifecycle from './0005_lifecycle.ts';
import * as decisions from './0006_decisions.ts';
import * as storeIdentity from './0007_store_identity.ts';
import * as sweeps from './0008_sweeps.ts';
import * as fixity from './0009_fixity.ts';
import * as rebuild from './0010_rebuild.ts';
import * as fileRules from './0011_file_rules.ts';
import * as packageTotals from './0012_package_totals.ts';
import * as objectLocks from './0013_object_locks.ts';
import * as auditLog from './0014_audit_log.ts';
import * as attestations from './0015_attestations.ts';
import * as timeStamps from './0016_time_stamps.ts';
import * as apiTokens from './0017_api_tokens.ts';
import * as quotas from './0018_quotas.ts';
import * as webhooks from './0019_webhooks.ts';
import * as namesAndShares from './0020_names_and_shares.ts';

/** Append-only, in order: a migration that was released is never changed. */
export const MIGRATIONS: ReadonlyArray<{ name: string; migration: Knex.Migration }> = [
  { name: '0001_registry', migration: registry },
  { name: '0002_revisions_and_lost_objects', migration: revisions },
  { name: '0003_stored_forms', migration: storedForms },
  { name: '0004_lighter_rows', migration: lighterRows },
  { name: '0005_lifecycle', migration: lifecycle },
  { name: '0006_decisions', migration: decisions },
  { name: '0007_store_identity', migration: storeIdentity },
  { name: '0008_sweeps', migration: sweeps },
  { name: '0009_fixity', migration: fixity },
  { name: '0010_rebuild', migration: rebuild },
  { name: '0011_file_rules', migration: fileRules },
  { name: '0012_package_totals', migration: packageTotals },
  { name: '0013_object_locks', migration: objectLocks },
  { name: '0014_audit_log', migration: auditLog },
  { name: '0015_attestations', migration: attestations },
  { name: '0016_time_stamps', migration: timeStamps },
  { name: '0017_api_tokens', migration: apiTokens },
  { name: '0018_quotas', migration: quotas },
  { name: '0019_webhooks', migration: webhooks },
  { name: '0020_names_and_shares', migration: namesAndShares },
];
